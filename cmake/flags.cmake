# Every target of ours links loadline_flags.
add_library(loadline_flags INTERFACE)
target_include_directories(loadline_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(loadline_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
target_compile_definitions(loadline_flags INTERFACE LOADLINE_VERSION="${PROJECT_VERSION}")
if(LOADLINE_WERROR)
  target_compile_options(loadline_flags INTERFACE -Werror)
endif()
if(LOADLINE_SANITIZE)
  # The sanitizers must fail the test, not print and go on.
  target_compile_options(loadline_flags INTERFACE -fsanitize=address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(loadline_flags INTERFACE -fsanitize=address,undefined)
endif()
if(LOADLINE_FUZZ)
  target_compile_options(loadline_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(loadline_flags INTERFACE -fsanitize=address,undefined)
endif()

# For what is compiled for this machine's CPU: the kernels, and benchmarks of their inner parts.
add_library(loadline_native INTERFACE)
if(LOADLINE_NATIVE)
  target_compile_options(loadline_native INTERFACE -march=native -mprefer-vector-width=512)
endif()
