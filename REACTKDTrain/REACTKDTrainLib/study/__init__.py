"""The paper's experiments, repeated on digital phantoms or on a user's cohort: methods, ablations, inputs, doses."""
