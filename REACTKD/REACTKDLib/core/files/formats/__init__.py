"""NIfTI, NRRD and MetaImage files: headers checked strictly, voxels read whole, damage found."""
