"""How the shipped student is made: phantoms of the `large` cohort, crops, training, the measured rungs, the bundle."""
