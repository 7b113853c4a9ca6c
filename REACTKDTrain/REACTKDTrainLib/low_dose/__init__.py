"""Low-dose CT: simulate a scan at a fraction of its dose; make test sets and noise fields for training.

    from REACTKDTrainLib.low_dose.simulator import LowDoseCT

or, from a shell, `python -m REACTKDTrainLib low-dose --ct CT.nii.gz --dose 0.25 --seed 0 --output LOW.nii.gz`.
"""
