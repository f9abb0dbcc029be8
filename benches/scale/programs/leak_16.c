/* Leaks 16 bytes for each unit: pieces of blocks that are never given back. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 0;
    char *block = 0;
    size_t left = 0;
    for (long i = 0; i < n; i++) {
        if (left < 16) {
            /* A chunk of this size has a header of 16 bytes and nothing to round up. */
            block = malloc(65536 - 16);
            left = 65536 - 16;
        }
        memset(block, 1, 16);
        block += 16, left -= 16;
    }
    return 0;
}
