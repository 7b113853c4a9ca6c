"""Training on stored node vectors."""
