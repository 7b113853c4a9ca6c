# Included by the extension right after find_package(Slicer); the real file sets compiler flags, which Python needs not.
