# What every target of this project shares: warnings, sanitizers, packages, and two helpers,
# mtf_library(NAME sources...) and mtf_test(NAME LABEL sources... [LIBS libs...] [TIMEOUT s]).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(pair RDKAFKA:rdkafka AVRO:avro-c OPENBLAS:openblas YAML:yaml-0.1 JANSSON:jansson
        XXHASH:libxxhash CRYPTO:libcrypto MICROHTTPD:libmicrohttpd CMOCKA:cmocka)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 package)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${package})
endforeach()
# Debian 12 ships rocksdb.pc and lapacke.pc; fall back on the plain library where one is missing.
foreach(pair ROCKSDB:rocksdb LAPACKE:lapacke)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 package)
  pkg_check_modules(${name} IMPORTED_TARGET ${package})
  if(NOT ${name}_FOUND)
    add_library(PkgConfig::${name} INTERFACE IMPORTED)
    target_link_libraries(PkgConfig::${name} INTERFACE ${package})
  endif()
endforeach()

add_library(mtf_options INTERFACE)
target_compile_definitions(mtf_options INTERFACE _POSIX_C_SOURCE=200809L)
target_compile_options(mtf_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  -Wstrict-prototypes -Wmissing-prototypes -Wvla -ffp-contract=off)
target_include_directories(mtf_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(MTF_WERROR)
  target_compile_options(mtf_options INTERFACE -Werror)
endif()
if(MTF_SANITIZE)
  target_compile_options(mtf_options INTERFACE -fsanitize=${MTF_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(mtf_options INTERFACE -fsanitize=${MTF_SANITIZE})
endif()
if(MTF_FUZZ)
  target_compile_options(mtf_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# A static library mtf_<name> of src/<name>; sources are relative to the calling folder.
function(mtf_library name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_library(mtf_${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(mtf_${name} PUBLIC mtf_options ${ARG_LIBS})
endfunction()

# One cmocka executable, registered with ctest under the label. Sources relative to the calling folder.
function(mtf_test name label)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LIBS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120) # ends what hangs
    if(MTF_SANITIZE)
      set(ARG_TIMEOUT 600) # under ThreadSanitizer some take a minute and a half where release takes seconds
    endif()
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE mtf_options ${ARG_LIBS} PkgConfig::CMOCKA)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE MTF_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${ARG_TIMEOUT})
endfunction()
