"""A synthetic head CT, from anatomy to DICOM files. Read it in this order:

tissues     Hounsfield units, with their sources
shapes      signed distances, partial volume, smooth random fields: the drawing tools
domains     how much heads, bleeds and scanners differ
head        one patient's measures, and the room within the skull
face        below the skull: face, jaw and neck
shell       skull and scalp around the brain
brain       what is inside the skull
clutter     what else is in heads and is no hemorrhage
bleeds      the five types of hemorrhage
render      one slice without noise, all of it put together
scanner     blur, noise and flaws, and RSNA's ways of storing a slice
patients    who gets which bleed, and the files
dataset     the whole data set, in RSNA's layout
blood       where the blood is, pixel by pixel
"""
