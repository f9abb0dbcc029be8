# A loop of arithmetic and of short-lived objects.
class Point { has $.x; has $.y; method far { sqrt $!x * $!x + $!y * $!y } }
my $far = 0e0;
my $n = 0;
loop {
    for ^2000 -> $i {
        $far += Point.new(x => $i, y => $n).far;
    }
    $n++;
    sleep 0.1;
}
