# Compiler flags, and stout_library(): a folder's sources, listed once and compiled for the guest
# or the host.

set(STOUT_WARNINGS
    -Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wvla -Wimplicit-fallthrough -Wwrite-strings -Wformat=2
    -Wframe-larger-than=2048 -Wno-unused-parameter)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND STOUT_WARNINGS -Woverride-init)
else()
    list(APPEND STOUT_WARNINGS -Winitializer-overrides -Wno-gnu-variable-sized-type-not-at-end)
endif()
if(STOUT_WERROR)
    list(APPEND STOUT_WARNINGS -Werror)
endif()

add_library(stout_flags INTERFACE)
target_include_directories(stout_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(stout_flags INTERFACE $<$<BOOL:${STOUT_DEBUG}>:STOUT_DEBUG=1>)
target_compile_options(stout_flags INTERFACE -g -fno-omit-frame-pointer -fno-strict-aliasing
                       -fno-delete-null-pointer-checks -ffunction-sections -fdata-sections)
if(STOUT_HOST)
    target_include_directories(stout_flags INTERFACE ${CMAKE_SOURCE_DIR}/arch/host)
    target_compile_definitions(stout_flags INTERFACE STOUT_HOST=1)
    if(STOUT_SANITIZE)
        target_compile_options(stout_flags INTERFACE -fsanitize=${STOUT_SANITIZE}
                               -fno-sanitize-recover=all)
        target_link_options(stout_flags INTERFACE -fsanitize=${STOUT_SANITIZE})
    endif()
    if(STOUT_SANITIZE STREQUAL "thread") # it ignores fences; what they order is never plain data here
        target_compile_options(stout_flags INTERFACE -Wno-tsan)
    endif()
else()
    # musl's headers replace the host's; its objects (libc/) are what they promise, so the compiler may
    # know them: a memcpy() of a word is a move.
    target_include_directories(stout_flags INTERFACE ${CMAKE_SOURCE_DIR}/arch/x86_64)
    target_include_directories(stout_flags SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/libc/include)
    target_compile_options(stout_flags INTERFACE
        -nostdinc -ffreestanding -fbuiltin -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only
        -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-common
        $<$<COMPILE_LANG_AND_ID:C,GNU>:-fno-tree-loop-distribute-patterns -fconserve-stack>)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        # No string instructions for structures, either (docs/decisions/0003).
        set(strategy unrolled_loop:512:noalign,libcall:-1:noalign)
        target_compile_options(stout_flags INTERFACE -mmemset-strategy=${strategy} -mmemcpy-strategy=${strategy})
        # Padding before loops and jumps would be some 40 KB of the image, which Linux does without as well.  Nothing
        # here needs a stack of 16 bytes' alignment, nor does a variadic function look for vector arguments.
        target_compile_options(stout_flags INTERFACE -falign-functions=16 -falign-jumps=1 -falign-loops=1 -falign-labels=1
                               -mpreferred-stack-boundary=3 -mskip-rax-setup)
    endif()
    if(STOUT_LTO)
        # The sections' flags count at the link as well, where the code is made.  Calls cost more than room
        # here, up to a point: without the bounds the image grows by an eighth for one call in twenty.
        set(inlining -finline-functions --param=max-inline-insns-auto=25 --param=inline-unit-growth=20)
        target_compile_options(stout_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-flto ${inlining}>)
        target_link_options(stout_flags INTERFACE -flto=auto -ffunction-sections -fdata-sections ${inlining})
    endif()
    execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include
                    OUTPUT_VARIABLE compiler_include OUTPUT_STRIP_TRAILING_WHITESPACE)
    target_include_directories(stout_flags SYSTEM INTERFACE ${compiler_include})
endif()

# stout_library(NAME SOURCES... [GUEST SOURCES...] [HOST SOURCES...]): sources for both, for the
# guest only, for the host only.  Sources are relative to the folder.
function(stout_library name)
    cmake_parse_arguments(arg "" "" "GUEST;HOST" ${ARGN})
    set(sources ${arg_UNPARSED_ARGUMENTS})
    if(STOUT_HOST)
        list(APPEND sources ${arg_HOST})
    else()
        list(APPEND sources ${arg_GUEST})
    endif()
    if(NOT sources)
        add_library(${name} INTERFACE)
        return()
    endif()
    add_library(${name} OBJECT ${sources})
    target_link_libraries(${name} PRIVATE stout_flags)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:${STOUT_WARNINGS}>)
    if(NOT STOUT_HOST)
        add_dependencies(${name} libc_headers)
    endif()
    set_property(GLOBAL APPEND PROPERTY STOUT_LIBRARIES ${name})
endfunction()
