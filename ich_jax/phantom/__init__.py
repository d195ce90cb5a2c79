"""A synthetic head CT, from anatomy to DICOM files. Read it in this order:

tissues     Hounsfield units, with their sources
shapes      signed distances, partial volume, smooth random fields: the drawing tools
head        skull, scalp and face of one patient
brain       what is inside the skull
bleeds      the five types of hemorrhage, and the finished slice
scanner     blur, noise, and RSNA's ways of storing a slice
patients    who gets which bleed, and the files
dataset     the whole data set, in RSNA's layout
"""
