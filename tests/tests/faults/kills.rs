//! Seepmeter, its target or the machine in trouble: kills, stops, full disks, clocks.
