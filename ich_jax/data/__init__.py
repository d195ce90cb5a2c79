"""From DICOM files and label CSV to batches on the device."""
