"""The commands of `python -m REACTKDTrainLib`, one file each."""
