"""From DICOM files and a label CSV to a prepared folder.

hounsfield   stored values → Hounsfield units
header       values of a header that may be anything
axial        whether a header is that of an axial CT slice
compressed   compressed pixels → stored values
dicom        one DICOM file → one axial CT slice
find         the slices below a folder or in a zip
labels       the label CSV → one class per slice
source       slices and their labels together
preprocess   one slice → the network's image
preparing    all of a source → a prepared folder
unfinished   a prepared folder in the making
prepared     a prepared folder, open
"""
