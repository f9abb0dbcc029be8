/* Leaks 10,224 bytes for each unit, which take 10,240. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 0;
    for (long i = 0; i < n; i++) {
        char *volatile kept = malloc(10224);
        memset(kept, 1, 10224);
    }
    return 0;
}
