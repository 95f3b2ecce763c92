# The kernel image: build/<preset>/stout.elf with symbols, stout.elf.stripped without.
get_property(libraries GLOBAL PROPERTY STOUT_LIBRARIES)
add_executable(stout.elf)
foreach(library ${libraries})
    target_sources(stout.elf PRIVATE $<TARGET_OBJECTS:${library}>)
endforeach()
set(link_script ${CMAKE_SOURCE_DIR}/arch/x86_64/link.ld)
set_target_properties(stout.elf PROPERTIES LINK_DEPENDS ${link_script} LINKER_LANGUAGE C)
target_link_libraries(stout.elf PRIVATE stout_flags)
target_link_options(stout.elf PRIVATE -nostdlib -static -Wl,-T,${link_script}
                    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--build-id=none
                    -Wl,--gc-sections -Wl,--no-warn-rwx-segments -Wl,-Map,${CMAKE_BINARY_DIR}/stout.map)
add_custom_command(TARGET stout.elf POST_BUILD
    COMMAND ${CMAKE_OBJCOPY} --strip-all $<TARGET_FILE:stout.elf> $<TARGET_FILE:stout.elf>.stripped)
