"""The paper's experiments again, on digital phantoms or on a cohort of one's own: methods, ablations, inputs, doses."""
