// Four threads share the units, and each allocates and frees: arenas, and no leak.
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

int main(int argc, char **argv) {
    long n = argc > 1 ? std::atol(argv[1]) : 0;
    std::vector<std::thread> pool;
    for (int t = 0; t < 4; t++) {
        pool.emplace_back([n, t] {
            std::vector<std::string> ring(200);
            for (long i = t; i < n; i += 4) {
                ring[i / 4 % 200] = std::string(100 + i % 900, 'x');
            }
        });
    }
    for (auto &thread : pool) {
        thread.join();
    }
    return 0;
}
