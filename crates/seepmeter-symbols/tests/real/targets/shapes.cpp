// A namespace, a template, a lambda, an inlined member, an exception in flight.
#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace shape {

[[gnu::noinline]] void rest() {
    std::puts("ready");
    std::fflush(stdout);
    for (;;) pause();
}

template <typename T> struct Circle {
    T radius;
    [[gnu::always_inline]] inline T inlined(T factor) {
        rest();
        return radius * factor;
    }
    [[gnu::noinline]] T area(T factor) { return inlined(factor) * radius; }
};

struct Guard {
    Circle<double> circle;
    [[gnu::noinline]] ~Guard() { circle.area(3.14); }
};

} // namespace shape

[[gnu::noinline]] static void thrower(int n) {
    shape::Guard guard{{2.0}};
    if (n > 0) throw std::runtime_error("unwinds through guard");
}

int main(int argc, char **) {
    std::vector<int> numbers{3, 1, 2};
    std::for_each(numbers.begin(), numbers.end(), [argc](int) {
        try {
            thrower(argc);
        } catch (const std::exception &) {
        }
    });
    return 0;
}
