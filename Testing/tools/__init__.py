"""Scripts that keep the house: set-up, test runner, CMake file lists."""
