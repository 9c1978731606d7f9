"""DICOM files: told by their content, read with bad values tolerated, frames decoded."""
