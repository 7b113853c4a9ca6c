# A stand-in for Slicer's own SlicerConfig.cmake: enough of its macros that plain CMake configures and installs this
# extension into the folders that Slicer uses. Point CMake at it with -DSlicer_DIR=<this folder>.
#
# Its macros are as strict as Slicer's about what they are given (unknown keywords, files that do not exist), because a
# more lenient one would hide the mistakes that it is there to find.

if(NOT DEFINED Slicer_VERSION) # a test says another
  set(Slicer_VERSION "5.13")
endif()
set(Slicer_VERSION_MAJOR_MINOR "5.13")
set(_Slicer_LIB_DIR "lib/Slicer-${Slicer_VERSION_MAJOR_MINOR}")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${_Slicer_LIB_DIR}/qt-scripted-modules")
set(Slicer_INSTALL_CLIMODULES_BIN_DIR "${_Slicer_LIB_DIR}/cli-modules")

# What the extension includes after find_package and at its end; nothing here needs more than the macros below.
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/CheckExtension.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/CheckExtension.cmake")

# Each file keeps its path relative to the module's folder.
function(_slicer_stand_in_install kind destination)
  foreach(file IN LISTS ARGN)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "${kind} names '${file}', which does not exist in ${CMAKE_CURRENT_SOURCE_DIR}")
    endif()
    get_filename_component(folder "${file}" DIRECTORY)
    install(FILES "${file}" DESTINATION "${destination}/${folder}")
  endforeach()
endfunction()

# In Slicer, tests run in the application; here on the test host, from the installed tree: install first, then ctest.
get_filename_component(_Slicer_TESTING_DIR "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
find_program(Slicer_PYTHON NAMES python3 python)
include(CTest)
function(_slicer_stand_in_test name what module)
  if(BUILD_TESTING)
    set(_file "${CMAKE_INSTALL_PREFIX}/${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}/${module}.py")
    add_test(NAME ${name} COMMAND "${Slicer_PYTHON}" -m host.run_module ${what} "${_file}")
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "PYTHONPATH=${_Slicer_TESTING_DIR}")
  endif()
endfunction()

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_module "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(NOT DEFINED _module_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: NAME is missing")
  endif()
  if(_module_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: unknown arguments ${_module_UNPARSED_ARGUMENTS}")
  endif()
  _slicer_stand_in_install(SCRIPTS "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}" ${_module_SCRIPTS})
  _slicer_stand_in_install(RESOURCES "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}" ${_module_RESOURCES})
  if(_module_WITH_GENERIC_TESTS)
    _slicer_stand_in_test(qSlicer${_module_NAME}ModuleGenericTest generic ${_module_NAME})
  endif()
endmacro()

# Exactly NAME.py and NAME.xml, as Slicer's macro does.
macro(SlicerMacroBuildScriptedCLI)
  cmake_parse_arguments(_cli "NO_INSTALL;VERBOSE" "NAME;FOLDER" "" ${ARGN})
  if(NOT DEFINED _cli_NAME)
    message(FATAL_ERROR "SlicerMacroBuildScriptedCLI: NAME is missing")
  endif()
  _slicer_stand_in_install(CLI "${Slicer_INSTALL_CLIMODULES_BIN_DIR}" "${_cli_NAME}.py" "${_cli_NAME}.xml")
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(_test "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_test_SCRIPT}" OR _test_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicer_add_python_unittest: SCRIPT '${_test_SCRIPT}' ${_test_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(_test_NAME "${_test_SCRIPT}" NAME_WE)
  _slicer_stand_in_test(py_${_test_TESTNAME_PREFIX}${_test_NAME} unittest ${_test_NAME})
endmacro()
