"""Writing that loses nothing: files beside and renamed, locks, and what an interrupted process left behind."""
