# A release build is optimised by a profile: which functions are hot, which way branches go, what is
# called from where. The build makes it itself, in three steps: a program that counts, in
# profile/build; some seconds of work for that (bench/train); and the program that is meant, which is
# compiled with these counts. What that saves stands in bench/README.md.
# -DFOREBAY_PROFILE=off is for who builds it again and again, and where the program cannot run.

set(profile_default off)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT FOREBAY_SANITIZE
   AND NOT CMAKE_CROSSCOMPILING)
  set(profile_default use)
endif()
set(FOREBAY_PROFILE ${profile_default}
    CACHE STRING "use: train a program first, and build with what was counted; off; generate: that program")
set_property(CACHE FOREBAY_PROFILE PROPERTY STRINGS use off generate)

# Names of counts are those of objects, relative to this, so that two builds have the same.
add_library(forebay_profile INTERFACE)
target_link_libraries(forebay_build INTERFACE forebay_profile)

if(FOREBAY_PROFILE STREQUAL "generate")
  set(counts ${CMAKE_BINARY_DIR}/../counts)
  cmake_path(NORMAL_PATH counts)
  set(counting -fprofile-generate=${counts} -fprofile-update=atomic
               -fprofile-prefix-path=${CMAKE_BINARY_DIR})
  target_compile_options(
    forebay_profile INTERFACE "$<$<NOT:$<BOOL:$<TARGET_PROPERTY:FOREBAY_COLD>>>:${counting}>")
  target_link_options(forebay_profile INTERFACE -fprofile-generate=${counts})
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION OFF)
  set(CMAKE_CXX_FLAGS_RELEASE "-O3")
elseif(FOREBAY_PROFILE STREQUAL "use")
  set(counts ${CMAKE_BINARY_DIR}/profile/counts)
  # What was not trained is optimised as ever. No counts: it was not trained at all, which the build
  # says.
  target_compile_options(
    forebay_profile INTERFACE -fprofile-use=${counts} -fprofile-prefix-path=${CMAKE_BINARY_DIR}
                              -fprofile-partial-training -fprofile-correction -Wno-missing-profile
                              -Wno-coverage-mismatch)
  file(GLOB_RECURSE trained_sources CONFIGURE_DEPENDS
       ${CMAKE_SOURCE_DIR}/src/*.[ch]pp ${CMAKE_SOURCE_DIR}/include/*.hpp ${CMAKE_SOURCE_DIR}/protocol/*.[ch]pp
       ${CMAKE_SOURCE_DIR}/routing/*.[ch]pp ${CMAKE_SOURCE_DIR}/config/*.[ch]pp)
  set(options -G ${CMAKE_GENERATOR} -DFOREBAY_UNITY=${FOREBAY_UNITY})
  foreach(option CMAKE_CXX_COMPILER CMAKE_C_COMPILER CMAKE_CXX_FLAGS CMAKE_C_FLAGS CMAKE_EXE_LINKER_FLAGS
                 CMAKE_PREFIX_PATH CMAKE_TOOLCHAIN_FILE CMAKE_MAKE_PROGRAM)
    if(${option})
      string(REPLACE ";" "\\;" value "${${option}}")
      list(APPEND options "-D${option}=${value}")
    endif()
  endforeach()
  add_custom_command(
    OUTPUT ${counts}/trained
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DBINARY=${CMAKE_BINARY_DIR} "-DOPTIONS=${options}"
            -P ${CMAKE_SOURCE_DIR}/src/cmake/train.cmake
    DEPENDS ${trained_sources} ${CMAKE_SOURCE_DIR}/bench/train ${CMAKE_SOURCE_DIR}/src/cmake/train.cmake
    COMMENT "Building and training a program that counts what is hot (FOREBAY_PROFILE)"
    USES_TERMINAL VERBATIM)
  add_custom_target(forebay_counts DEPENDS ${counts}/trained)
  add_dependencies(forebay_profile forebay_counts)
elseif(NOT FOREBAY_PROFILE STREQUAL "off")
  message(FATAL_ERROR "FOREBAY_PROFILE is ${FOREBAY_PROFILE}: use, off or generate are possible")
endif()
