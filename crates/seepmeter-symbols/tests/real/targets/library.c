/* A library's function calls back. */
void inside_library(void (*call)(void)) {
    call();
    __asm__ volatile("" ::: "memory");
}
