// A pool of workers that grows to its size: each has a working set of blocks of random sizes that it
// replaces one by one, in its own glibc arena. The number of bytes in use is bounded; what the arenas
// hold in addition, torn by the sizes, grows to a plateau.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

static void work(unsigned seed) {
    std::mt19937 random(seed);
    std::vector<void *> blocks(600, nullptr);
    while (true) {
        for (int i = 0; i < 200; i++) {
            void *&block = blocks[random() % blocks.size()];
            free(block);
            size_t size = random() % 10 == 0 ? random() % 40000 : random() % 2000;
            block = malloc(size);
            memset(block, 1, size);
        }
        std::this_thread::sleep_for(20ms);
    }
}

int main() {
    std::vector<std::thread> pool;
    for (unsigned i = 0; i < 8; i++) {
        pool.emplace_back(work, i + 1);
        std::this_thread::sleep_for(6s);
    }
    for (auto &worker : pool) worker.join();
}
