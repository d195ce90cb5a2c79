"""Hounsfield units of a synthetic head, beside the ranges that the literature gives.

[B] T. M. Buzug, Computed Tomography, Springer 2008, p. 475
[N] The Neurosurgical Atlas, Quick Reference Tables: Neuroradiology
[W] Wikipedia, Hounsfield scale, and the textbooks it cites
"""

# What is painted. Each lies in its range below; a test measures them in finished slices.
AIR, FOAM, FAT, CSF, WHITE, GREY, MUSCLE = -1000.0, -930.0, -95.0, 7.0, 28.5, 37.0, 50.0
CEREBELLUM, BRAINSTEM = 34.0, 33.0  # grey and white in folds too fine to draw
DURA, TENTORIUM, CALCIFICATION = 54.0, 46.0, 180.0
VEINS = (45.0, 66.0)  # from anaemia to thick blood: about as many HU as per cent of haematocrit, and a little more
DIPLOE, CORTICAL_BONE, ENAMEL, METAL = 650.0, 1600.0, 2600.0, 3071.0
EYE, EYE_LENS = 12.0, 90.0
OEDEMA = 16.0  # between CSF and white matter; [N] 10…14 where it is severe

# Lowest and highest HU by tissue. Where two sources differ, their union.
TISSUE_RANGES_HU = {
    "air": (-1000, -1000),  # by definition
    "fat": (-120, -50),  # [B] −100…−50, [N] −120…−60, [W] −120…−90
    "CSF": (0, 15),  # [N] 5, [W] 15; water is 0
    "white matter": (20, 35),  # [B] 20…30, [N] 20…35
    "grey matter": (30, 45),  # [B] 37…45, [N] 30…40
    "muscle": (35, 55),  # [W]
    "diploë": (300, 1000),  # [W] cancellous bone 300…400; [N] the skull as a whole 600, compact bone 1000
    "cortical bone": (700, 3000),  # [B]
}
BLOOD_RANGE_HU = (50, 90)  # acute, clotted: [B] 40…90, [N] 75…80, [W] 50…100
