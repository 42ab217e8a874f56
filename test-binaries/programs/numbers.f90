! Formatted output, matrices, internal and external files.
program numbers
  implicit none
  integer, parameter :: n = 60
  integer :: i, j, unit, total, status
  double precision :: a(n, n), b(n, n), c(n, n), trace
  character(len=40) :: text

  do j = 1, n
    do i = 1, n
      a(i, j) = dble(i + j) / n
      b(i, j) = merge(2d0, 0d0, i == j)
    end do
  end do
  c = matmul(a, b)
  trace = 0
  do i = 1, n
    trace = trace + c(i, i)
  end do
  print '(a, f12.4)', 'trace ', trace

  open (newunit=unit, status='scratch', action='readwrite')
  do i = 1, 100
    write (unit, '(i5)') i * i
  end do
  rewind (unit)
  total = 0
  do i = 1, 100
    read (unit, '(i5)') j
    total = total + j
  end do
  close (unit)
  print '(a, i0)', 'squares ', total

  write (text, '(es12.5)') 1d0 / 3
  print '(a)', trim(adjustl(text))
  open (newunit=unit, file='/no/such/file', status='old', iostat=status)
  print '(a, l1)', 'missing file noticed ', status /= 0
  stop 4
end program numbers
