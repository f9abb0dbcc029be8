// A cache with a bound of 5,000 entries of some 500 bytes; the oldest goes.
#include <cstdlib>
#include <list>
#include <string>
#include <unordered_map>

int main(int argc, char **argv) {
    long n = argc > 1 ? std::atol(argv[1]) : 0;
    std::list<long> order;
    std::unordered_map<long, std::string> cache;
    for (long i = 0; i < n; i++) {
        cache.emplace(i, std::string(500, 'x'));
        order.push_back(i);
        if (order.size() > 5000) {
            cache.erase(order.front());
            order.pop_front();
        }
    }
    return cache.size() > 5000;
}
