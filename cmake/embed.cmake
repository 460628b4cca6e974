# Run as a script: turns FILE into the C array SYMBOL (NUL-terminated) in OUTPUT. An array of bytes,
# not a string literal, since C17 promises literals of 4095 characters only.
file(READ ${FILE} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes ${bytes})
string(REGEX REPLACE "(....................................................................................................)" "\\1\n" bytes ${bytes})
get_filename_component(name ${FILE} NAME)
file(WRITE ${OUTPUT} "/* Made from ${name} by cmake/embed.cmake. */\n#include \"ingest/schemas.h\"\n\nconst char ${SYMBOL}[] = {\n${bytes}0};\n")
