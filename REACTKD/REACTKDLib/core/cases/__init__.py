"""Lists of cases, and opening one of them."""
