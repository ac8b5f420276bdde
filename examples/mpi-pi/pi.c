/* Pi by the midpoint rule over 4 / (1 + x * x): each process sums its share, MPI_Allreduce adds the shares up. */
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv) {
  const long steps = 20000000;
  const double width = 1.0 / steps;
  int rank, size;
  double share = 0, pi;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (long step = rank; step < steps; step += size) {
    double x = (step + 0.5) * width;
    share += 4 / (1 + x * x) * width;
  }
  MPI_Allreduce(&share, &pi, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) printf("%d processes: pi is %.10f\n", size, pi);
  MPI_Finalize();
  return 0;
}
