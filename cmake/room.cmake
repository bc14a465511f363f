# loadline_room(NAME [ROOMS other rooms] [LIBRARIES imported targets])
# Makes loadline_NAME from src/NAME/*.cpp; a room without a .cpp is its headers alone.
function(loadline_room name)
  cmake_parse_arguments(ROOM "" "" "ROOMS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  list(TRANSFORM ROOM_ROOMS PREPEND loadline_)
  if(sources)
    add_library(loadline_${name} STATIC ${sources})
    target_link_libraries(loadline_${name} PUBLIC loadline_flags ${ROOM_ROOMS} ${ROOM_LIBRARIES})
    if(name STREQUAL "kernels")
      target_link_libraries(loadline_kernels PRIVATE loadline_native)
      # Optimized code takes its time anyway, and a kernel's code must not depend on its neighbours'.
      set_target_properties(loadline_${name} PROPERTIES UNITY_BUILD OFF)
    endif()
    if(name MATCHES "^(kernels|search)$")
      # Arithmetic that is not optimized would make every test of the engine and of the search wait.
      target_compile_options(loadline_${name} PRIVATE $<$<CONFIG:Debug>:-O2>)
    endif()
  else()
    add_library(loadline_${name} INTERFACE)
    target_link_libraries(loadline_${name} INTERFACE loadline_flags ${ROOM_ROOMS} ${ROOM_LIBRARIES})
  endif()
endfunction()

# loadline_tests(TIER NAME ROOMS rooms...) makes one test program, TIER_NAME, from the .cpp files of
# tests/TIER/NAME/ (of tests/TIER/ where that folder does not exist). Its cases carry the label TIER.
function(loadline_tests tier name)
  cmake_parse_arguments(T "" "" "ROOMS;LIBRARIES" ${ARGN})
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${tier}/${name})
  if(NOT IS_DIRECTORY ${folder})
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  list(TRANSFORM T_ROOMS PREPEND loadline_)
  set(program ${tier}_${name})
  add_executable(${program} ${sources})
  target_include_directories(${program} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${program} PRIVATE
    LOADLINE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" LOADLINE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${program} PRIVATE ${T_ROOMS} ${T_LIBRARIES} loadline_flags
                        GTest::gmock GTest::gtest_main)
  # Those that watch processes, or measure them, want the machine for themselves.
  set(alone OFF)
  if(tier MATCHES "^(faults|cli|memory)$")
    set(alone ON)
  endif()
  gtest_discover_tests(${program} TEST_PREFIX "${tier}."
                       PROPERTIES LABELS ${tier} TIMEOUT 300 RUN_SERIAL ${alone} DISCOVERY_TIMEOUT 60)
endfunction()

# loadline_program_tests(NAME) makes cli_NAME from tests/cli/NAME/: the built program, run from outside.
function(loadline_program_tests name)
  loadline_tests(cli ${name} ROOMS base)
  target_sources(cli_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/cli/harness/program.cpp)
  add_dependencies(cli_${name} loadline)
endfunction()
