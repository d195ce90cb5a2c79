"""From DICOM files and a label CSV to a prepared folder.

dicom        one DICOM file → one slice in Hounsfield units
labels       the label CSV → one class per slice
source       a Kaggle-shaped folder, or the Kaggle zip read in place
preprocess   one slice → the network's image
preparing    all of a source → a prepared folder
unfinished   a prepared folder in the making
prepared     a prepared folder, open
"""
