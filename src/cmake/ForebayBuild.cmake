# What every target of the project is built with. One function, `forebay_library`, makes a module.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fno-omit-frame-pointer")
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1")

find_program(CCACHE ccache)
if(CCACHE)
  # Without these ccache keeps nothing that was built with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(forebay_build INTERFACE)
target_include_directories(forebay_build INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src
                                                   ${CMAKE_SOURCE_DIR})
target_compile_options(forebay_build INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                               -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
                                               -Wno-missing-field-initializers)
if(FOREBAY_SANITIZE)
  list(JOIN FOREBAY_SANITIZE "," sanitizers)
  target_compile_options(forebay_build INTERFACE -fsanitize=${sanitizers} -fno-sanitize-recover=all)
  if("undefined" IN_LIST FOREBAY_SANITIZE)
    # A third of the time of a build, for what AddressSanitizer mostly sees as well. The fuzz
    # targets, of protocol and routing, have all of them, by clang.
    target_compile_options(forebay_build INTERFACE -fno-sanitize=null,alignment,object-size,vptr)
  endif()
  target_link_options(forebay_build INTERFACE -fsanitize=${sanitizers})
else()
  target_compile_options(forebay_build INTERFACE -fstack-protector-strong -D_FORTIFY_SOURCE=2)
  target_link_options(forebay_build INTERFACE -Wl,-z,relro,-z,now)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT FOREBAY_SANITIZE)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# Sources of a library are compiled some at a time, since one by one most of the time goes into
# reading the same headers. OFF is better while working at a few files.
option(FOREBAY_UNITY "Compile the sources of libraries together" ON)

include(ForebayProfile)

# forebay_library(name SOURCES ... [USES modules...] [PRIVATE third-party targets...]
#                 [ALONE sources...] [COLD])
# ALONE: sources that are compiled one by one in any case, since their names clash with others'.
# COLD: it is optimised little, and not at all with sanitizers or where a program is only trained,
# since that takes far longer than it ever saves.
function(forebay_library name)
  cmake_parse_arguments(A "COLD" "" "SOURCES;USES;PRIVATE;ALONE" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  if(A_COLD AND (FOREBAY_SANITIZE OR FOREBAY_PROFILE STREQUAL "generate"))
    target_compile_options(${name} PRIVATE -O0)
  elseif(A_COLD)
    target_compile_options(${name} PRIVATE -O1)
  endif()
  set_target_properties(${name} PROPERTIES FOREBAY_COLD "${A_COLD}" UNITY_BUILD ${FOREBAY_UNITY} UNITY_BUILD_BATCH_SIZE 10)
  set_source_files_properties(${A_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  target_link_libraries(${name} PUBLIC forebay_build ${A_USES})
  foreach(library ${A_PRIVATE})
    target_link_libraries(${name} PRIVATE ${library})
  endforeach()
endfunction()
