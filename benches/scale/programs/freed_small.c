/* As freed.c, with blocks so small that glibc keeps them in lists of their own. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 0;
    char **kept = malloc((n + 1) * sizeof *kept);
    for (long i = 0; i < n; i++) {
        kept[i] = malloc(40);
        memset(kept[i], 1, 40);
    }
    for (long i = 0; i < n; i++) {
        free(kept[i]);
    }
    free(kept);
    return 0;
}
