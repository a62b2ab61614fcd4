# The steps of ForebayProfile, as a script: cmake -D SOURCE=... -D BINARY=... -D OPTIONS=... -P this.
# What fails costs the profile, and not the build.

function(step what)
  if(failed)
    return()
  endif()
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    set(failed TRUE PARENT_SCOPE)
    message(WARNING "Forebay is built without the help of a profile, and is some percent slower: "
                    "${what} failed (${code})")
  endif()
endfunction()

set(build ${BINARY}/profile/build)
file(REMOVE_RECURSE ${BINARY}/profile/counts)
file(MAKE_DIRECTORY ${BINARY}/profile/counts)
step("configuring it" ${CMAKE_COMMAND} -S ${SOURCE} -B ${build} ${OPTIONS} -DCMAKE_BUILD_TYPE=Release
     -DFOREBAY_PROFILE=generate -DFOREBAY_TESTS=OFF -DFOREBAY_BENCH=ON)
step("building it" ${CMAKE_COMMAND} --build ${build} --target forebay bench_backend bench_load)
step("putting it to work" python3 ${SOURCE}/bench/train ${build})
file(TOUCH ${BINARY}/profile/counts/trained)
