# Without a C library: prints argc and argv from the initial stack, exits with argc + 40.
	.globl	_start
	.text
_start:
	xor	%ebp, %ebp
	test	$15, %rsp
	jnz	misaligned
	mov	(%rsp), %r12
	lea	8(%rsp), %r13
next:
	mov	(%r13), %rsi
	test	%rsi, %rsi
	jz	done
	xor	%edx, %edx
length:
	cmpb	$0, (%rsi,%rdx)
	je	print
	inc	%rdx
	jmp	length
print:
	mov	$1, %edi
	mov	$1, %eax
	syscall
	mov	$1, %edi
	lea	newline(%rip), %rsi
	mov	$1, %edx
	mov	$1, %eax
	syscall
	add	$8, %r13
	jmp	next
done:
	lea	40(%r12), %rdi
	mov	$231, %eax
	syscall
misaligned:
	mov	$1, %edi
	mov	$231, %eax
	syscall

	.section .rodata
newline:
	.ascii	"\n"
	.section .note.GNU-stack, "", @progbits
