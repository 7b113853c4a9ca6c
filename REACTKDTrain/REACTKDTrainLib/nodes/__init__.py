"""Training and evaluation on stored node vectors."""
