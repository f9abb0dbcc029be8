/* Holds 200 bytes for each unit, and frees all of it before its end. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 0;
    char **kept = malloc((n + 1) * sizeof *kept);
    for (long i = 0; i < n; i++) {
        kept[i] = malloc(200);
        memset(kept[i], 1, 200);
    }
    for (long i = 0; i < n; i++) {
        free(kept[i]);
    }
    free(kept);
    return 0;
}
