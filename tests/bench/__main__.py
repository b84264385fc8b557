"""All benchmarks, one after the other: python -m tests.bench"""

from tests.bench import simulation, training

simulation.main()
print()
training.main()
