/* wait4(2), waitid(2) without children, and their errors. */
#include "../tst.h"

#include <sys/wait.h>

int main(void)
{
	siginfo_t info;
	int status;

	CHECK_ERR(wait4(-1, &status, 0, NULL), ECHILD);
	CHECK_ERR(wait4(-1, &status, WNOHANG, NULL), ECHILD);
	CHECK_ERR(wait4(getpid(), &status, 0, NULL), ECHILD);
	CHECK_ERR(wait4(0, &status, 0, NULL), ECHILD);
	CHECK_ERR(wait4(-1, &status, 0x100, NULL), EINVAL);
	CHECK_ERR(wait4(INT_MIN, &status, 0, NULL), ESRCH);
	CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
	CHECK_ERR(waitid(P_PID, 0x3fffffff, &info, WEXITED), ECHILD);
	CHECK_ERR(waitid(P_ALL, 0, &info, 0), EINVAL);
	CHECK_ERR(waitid(99, 0, &info, WEXITED), EINVAL);
	return tst_done();
}
