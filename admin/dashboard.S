/* admin/dashboard.S: the dashboard page as bytes of the program. */
    .section .rodata
    .global dashboard_html
    .global dashboard_html_end
    .balign 16
dashboard_html:
    .incbin "admin/dashboard.html"
dashboard_html_end:
    .byte 0
    .section .note.GNU-stack,"",@progbits
