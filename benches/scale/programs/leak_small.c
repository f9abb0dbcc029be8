/* Leaks one chunk of malloc for each unit: 24 bytes, which take 32. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 0;
    for (long i = 0; i < n; i++) {
        char *volatile kept = malloc(24);
        memset(kept, 1, 24);
        free(malloc(1000));
    }
    return 0;
}
