/* admin/dashboard.S: the dashboard page as bytes of the program. */
    .section .rodata
    .global dashboard_html
    .global dashboard_html_bytes
    .balign 16
dashboard_html:
    .incbin "admin/dashboard.html"
1:
    .byte 0
    .balign 8
dashboard_html_bytes:
    .quad 1b - dashboard_html
    .section .note.GNU-stack,"",@progbits
