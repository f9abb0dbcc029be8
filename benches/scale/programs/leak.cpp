// Keeps an object with a string for each unit: chunks of 48 and 128 bytes.
#include <cstdlib>
#include <string>

struct Session {
    std::string name;
    long number;
};

int main(int argc, char **argv) {
    long n = argc > 1 ? std::atol(argv[1]) : 0;
    for (long i = 0; i < n; i++) {
        // 40 bytes in a chunk of 48; 112 characters and a NUL in one of 128.
        Session *volatile kept = new Session{std::string(112, 'x'), i};
        kept->number++;
    }
    return 0;
}
