# Included by the extension at its end; the real files write the description that the extension manager reads, and fail
# there if one of these is missing.
foreach(_field HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if(NOT EXTENSION_${_field})
    message(FATAL_ERROR "EXTENSION_${_field} is not set")
  endif()
endforeach()
