/* The nth unit keeps n times 4 bytes: a log that is copied whole each time. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 0;
    for (long i = 1; i <= n; i++) {
        char *volatile kept = malloc(4 * i);
        memset(kept, 1, 4 * i);
    }
    return 0;
}
