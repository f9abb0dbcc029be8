/* Maps 1 MiB, unmaps a quarter of it, and waits for a signal. */
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) static char *keeps(void) {
    char *at = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(at, 1 << 18);
    return at + (1 << 18);
}

int main(void) {
    volatile char *kept = keeps();
    kept[0] = 1;
    pause();
    return 0;
}
