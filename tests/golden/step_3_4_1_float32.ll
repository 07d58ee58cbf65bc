declare float @llvm.fabs.f32(float)
declare float @llvm.fma.f32(float, float, float)
declare <32 x float> @llvm.fabs.v32f32(<32 x float>)
declare <32 x float> @llvm.fma.v32f32(<32 x float>, <32 x float>, <32 x float>)
declare i32 @nn_backend_yield()
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal void @tile(ptr noalias %rows, i64 %offset, i64 %count, ptr noalias %numbers,
                           ptr noalias %lanesums, ptr noalias %out) noinline {
entry:
  %count32 = trunc i64 %count to i32
  %count32.one = insertelement <32 x i32> poison, i32 %count32, i64 0
  %count32.all = shufflevector <32 x i32> %count32.one, <32 x i32> poison, <32 x i32> zeroinitializer
  %u0.at = getelementptr float, ptr %numbers, i64 0
  %u0 = load float, ptr %u0.at
  %u1.at = getelementptr float, ptr %numbers, i64 1
  %u1 = load float, ptr %u1.at
  %u2.at = getelementptr float, ptr %numbers, i64 2
  %u2 = load float, ptr %u2.at
  %u3.at = getelementptr float, ptr %numbers, i64 3
  %u3 = load float, ptr %u3.at
  %u4.at = getelementptr float, ptr %numbers, i64 4
  %u4 = load float, ptr %u4.at
  %u5.at = getelementptr float, ptr %numbers, i64 5
  %u5 = load float, ptr %u5.at
  %u6.at = getelementptr float, ptr %numbers, i64 6
  %u6 = load float, ptr %u6.at
  %u7.at = getelementptr float, ptr %numbers, i64 7
  %u7 = load float, ptr %u7.at
  %u8.at = getelementptr float, ptr %numbers, i64 8
  %u8 = load float, ptr %u8.at
  %u9.at = getelementptr float, ptr %numbers, i64 9
  %u9 = load float, ptr %u9.at
  %u10.at = getelementptr float, ptr %numbers, i64 10
  %u10 = load float, ptr %u10.at
  %u11.at = getelementptr float, ptr %numbers, i64 11
  %u11 = load float, ptr %u11.at
  %u12.at = getelementptr float, ptr %numbers, i64 12
  %u12 = load float, ptr %u12.at
  %u13.at = getelementptr float, ptr %numbers, i64 13
  %u13 = load float, ptr %u13.at
  %u14.at = getelementptr float, ptr %numbers, i64 14
  %u14 = load float, ptr %u14.at
  %u15.at = getelementptr float, ptr %numbers, i64 15
  %u15 = load float, ptr %u15.at
  %u16.at = getelementptr float, ptr %numbers, i64 16
  %u16 = load float, ptr %u16.at
  %u17.at = getelementptr float, ptr %numbers, i64 17
  %u17 = load float, ptr %u17.at
  %u18.at = getelementptr float, ptr %numbers, i64 18
  %u18 = load float, ptr %u18.at
  %u19.at = getelementptr float, ptr %numbers, i64 19
  %u19 = load float, ptr %u19.at
  %u20.at = getelementptr float, ptr %numbers, i64 20
  %u20 = load float, ptr %u20.at
  %u0.one = insertelement <32 x float> poison, float %u0, i64 0
  %u0.all = shufflevector <32 x float> %u0.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u1.one = insertelement <32 x float> poison, float %u1, i64 0
  %u1.all = shufflevector <32 x float> %u1.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u2.one = insertelement <32 x float> poison, float %u2, i64 0
  %u2.all = shufflevector <32 x float> %u2.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u3.one = insertelement <32 x float> poison, float %u3, i64 0
  %u3.all = shufflevector <32 x float> %u3.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u4.one = insertelement <32 x float> poison, float %u4, i64 0
  %u4.all = shufflevector <32 x float> %u4.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u5.one = insertelement <32 x float> poison, float %u5, i64 0
  %u5.all = shufflevector <32 x float> %u5.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u6.one = insertelement <32 x float> poison, float %u6, i64 0
  %u6.all = shufflevector <32 x float> %u6.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u7.one = insertelement <32 x float> poison, float %u7, i64 0
  %u7.all = shufflevector <32 x float> %u7.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u8.one = insertelement <32 x float> poison, float %u8, i64 0
  %u8.all = shufflevector <32 x float> %u8.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u9.one = insertelement <32 x float> poison, float %u9, i64 0
  %u9.all = shufflevector <32 x float> %u9.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u10.one = insertelement <32 x float> poison, float %u10, i64 0
  %u10.all = shufflevector <32 x float> %u10.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u11.one = insertelement <32 x float> poison, float %u11, i64 0
  %u11.all = shufflevector <32 x float> %u11.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u12.one = insertelement <32 x float> poison, float %u12, i64 0
  %u12.all = shufflevector <32 x float> %u12.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u13.one = insertelement <32 x float> poison, float %u13, i64 0
  %u13.all = shufflevector <32 x float> %u13.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u14.one = insertelement <32 x float> poison, float %u14, i64 0
  %u14.all = shufflevector <32 x float> %u14.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u15.one = insertelement <32 x float> poison, float %u15, i64 0
  %u15.all = shufflevector <32 x float> %u15.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u16.one = insertelement <32 x float> poison, float %u16, i64 0
  %u16.all = shufflevector <32 x float> %u16.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u17.one = insertelement <32 x float> poison, float %u17, i64 0
  %u17.all = shufflevector <32 x float> %u17.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u18.one = insertelement <32 x float> poison, float %u18, i64 0
  %u18.all = shufflevector <32 x float> %u18.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u19.one = insertelement <32 x float> poison, float %u19, i64 0
  %u19.all = shufflevector <32 x float> %u19.one, <32 x float> poison, <32 x i32> zeroinitializer
  %u20.one = insertelement <32 x float> poison, float %u20, i64 0
  %u20.all = shufflevector <32 x float> %u20.one, <32 x float> poison, <32 x i32> zeroinitializer
  %row0.at = getelementptr ptr, ptr %rows, i64 0
  %row0 = load ptr, ptr %row0.at
  %row1.at = getelementptr ptr, ptr %rows, i64 1
  %row1 = load ptr, ptr %row1.at
  %row2.at = getelementptr ptr, ptr %rows, i64 2
  %row2 = load ptr, ptr %row2.at
  %row3.at = getelementptr ptr, ptr %rows, i64 3
  %row3 = load ptr, ptr %row3.at
  br label %clear
clear:
  %c = phi i64 [ 0, %entry ], [ %c.next, %clear ]
  %c.row = mul i64 %c, 32
  %c.at = getelementptr float, ptr %lanesums, i64 %c.row
  store <32 x float> zeroinitializer, ptr %c.at, align 64
  %c.next = add i64 %c, 1
  %c.more = icmp slt i64 %c.next, 21
  br i1 %c.more, label %clear, label %row
row:
  %j = phi i64 [ 0, %clear ], [ %j.next, %row ]
  %at = add i64 %offset, %j
  %j32 = trunc i64 %j to i32
  %j32.one = insertelement <32 x i32> poison, i32 %j32, i64 0
  %j32.all = shufflevector <32 x i32> %j32.one, <32 x i32> poison, <32 x i32> zeroinitializer
  %lane = and i64 %j, 31
  %example = add <32 x i32> %j32.all, <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %here = icmp slt <32 x i32> %example, %count32.all
  %x0.at = getelementptr float, ptr %row0, i64 %at
  %x0 = load <32 x float>, ptr %x0.at, align 4
  %x1.at = getelementptr float, ptr %row1, i64 %at
  %x1 = load <32 x float>, ptr %x1.at, align 4
  %x2.at = getelementptr float, ptr %row2, i64 %at
  %x2 = load <32 x float>, ptr %x2.at, align 4
  %x3.at = getelementptr float, ptr %row3, i64 %at
  %x3 = load <32 x float>, ptr %x3.at, align 4
  %v0 = fmul <32 x float> %u0.all, %x0
  %v1 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u1.all, <32 x float> %x1, <32 x float> %v0)
  %v2 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u2.all, <32 x float> %x2, <32 x float> %v1)
  %v3 = fmul <32 x float> %u3.all, %x0
  %v4 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u4.all, <32 x float> %x1, <32 x float> %v3)
  %v5 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u5.all, <32 x float> %x2, <32 x float> %v4)
  %v6 = fmul <32 x float> %u6.all, %x0
  %v7 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u7.all, <32 x float> %x1, <32 x float> %v6)
  %v8 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u8.all, <32 x float> %x2, <32 x float> %v7)
  %v9 = fmul <32 x float> %u9.all, %x0
  %v10 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u10.all, <32 x float> %x1, <32 x float> %v9)
  %v11 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u11.all, <32 x float> %x2, <32 x float> %v10)
  %v12 = fadd <32 x float> %v2, %u12.all
  %v13 = fadd <32 x float> %v5, %u13.all
  %v14 = fadd <32 x float> %v8, %u14.all
  %v15 = fadd <32 x float> %v11, %u15.all
  %v16 = fneg <32 x float> %v12
  %v17 = fneg <32 x float> %v13
  %v18 = fneg <32 x float> %v14
  %v19 = fneg <32 x float> %v15
  %v20 = fcmp olt <32 x float> %v16, splat (float 0xC055D58A00000000)
  %v21 = select <32 x i1> %v20, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v16
  %v22 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v21
  %v23 = select <32 x i1> %v22, <32 x float> splat (float 0x4056400000000000), <32 x float> %v21
  %v24 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v23, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v25 = fsub <32 x float> %v24, splat (float 0x4168000FC0000000)
  %v26 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v25, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v23)
  %v27 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v25, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v26)
  %v28 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v27, <32 x float> splat (float 0x3F91290520000000))
  %v29 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v28, <32 x float> %v27, <32 x float> splat (float 0x3FB55515E0000000))
  %v30 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v29, <32 x float> %v27, <32 x float> splat (float 0x3FD5553C00000000))
  %v31 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v30, <32 x float> %v27, <32 x float> splat (float 0x3FF0000020000000))
  %v32 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v31, <32 x float> %v27, <32 x float> splat (float 0x4000000000000000))
  %v33 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v32, <32 x float> %v27, <32 x float> splat (float 0x4000000000000000))
  %v34 = bitcast <32 x float> %v24 to <32 x i32>
  %v35 = shl <32 x i32> %v34, splat (i32 23)
  %v36 = bitcast <32 x i32> %v35 to <32 x float>
  %v37 = fmul <32 x float> %v33, %v36
  %v38 = fcmp olt <32 x float> %v17, splat (float 0xC055D58A00000000)
  %v39 = select <32 x i1> %v38, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v17
  %v40 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v39
  %v41 = select <32 x i1> %v40, <32 x float> splat (float 0x4056400000000000), <32 x float> %v39
  %v42 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v41, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v43 = fsub <32 x float> %v42, splat (float 0x4168000FC0000000)
  %v44 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v43, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v41)
  %v45 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v43, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v44)
  %v46 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v45, <32 x float> splat (float 0x3F91290520000000))
  %v47 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v46, <32 x float> %v45, <32 x float> splat (float 0x3FB55515E0000000))
  %v48 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v47, <32 x float> %v45, <32 x float> splat (float 0x3FD5553C00000000))
  %v49 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v48, <32 x float> %v45, <32 x float> splat (float 0x3FF0000020000000))
  %v50 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v49, <32 x float> %v45, <32 x float> splat (float 0x4000000000000000))
  %v51 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v50, <32 x float> %v45, <32 x float> splat (float 0x4000000000000000))
  %v52 = bitcast <32 x float> %v42 to <32 x i32>
  %v53 = shl <32 x i32> %v52, splat (i32 23)
  %v54 = bitcast <32 x i32> %v53 to <32 x float>
  %v55 = fmul <32 x float> %v51, %v54
  %v56 = fcmp olt <32 x float> %v18, splat (float 0xC055D58A00000000)
  %v57 = select <32 x i1> %v56, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v18
  %v58 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v57
  %v59 = select <32 x i1> %v58, <32 x float> splat (float 0x4056400000000000), <32 x float> %v57
  %v60 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v59, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v61 = fsub <32 x float> %v60, splat (float 0x4168000FC0000000)
  %v62 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v61, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v59)
  %v63 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v61, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v62)
  %v64 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v63, <32 x float> splat (float 0x3F91290520000000))
  %v65 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v64, <32 x float> %v63, <32 x float> splat (float 0x3FB55515E0000000))
  %v66 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v65, <32 x float> %v63, <32 x float> splat (float 0x3FD5553C00000000))
  %v67 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v66, <32 x float> %v63, <32 x float> splat (float 0x3FF0000020000000))
  %v68 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v67, <32 x float> %v63, <32 x float> splat (float 0x4000000000000000))
  %v69 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v68, <32 x float> %v63, <32 x float> splat (float 0x4000000000000000))
  %v70 = bitcast <32 x float> %v60 to <32 x i32>
  %v71 = shl <32 x i32> %v70, splat (i32 23)
  %v72 = bitcast <32 x i32> %v71 to <32 x float>
  %v73 = fmul <32 x float> %v69, %v72
  %v74 = fcmp olt <32 x float> %v19, splat (float 0xC055D58A00000000)
  %v75 = select <32 x i1> %v74, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v19
  %v76 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v75
  %v77 = select <32 x i1> %v76, <32 x float> splat (float 0x4056400000000000), <32 x float> %v75
  %v78 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v77, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v79 = fsub <32 x float> %v78, splat (float 0x4168000FC0000000)
  %v80 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v79, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v77)
  %v81 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v79, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v80)
  %v82 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v81, <32 x float> splat (float 0x3F91290520000000))
  %v83 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v82, <32 x float> %v81, <32 x float> splat (float 0x3FB55515E0000000))
  %v84 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v83, <32 x float> %v81, <32 x float> splat (float 0x3FD5553C00000000))
  %v85 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v84, <32 x float> %v81, <32 x float> splat (float 0x3FF0000020000000))
  %v86 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v85, <32 x float> %v81, <32 x float> splat (float 0x4000000000000000))
  %v87 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v86, <32 x float> %v81, <32 x float> splat (float 0x4000000000000000))
  %v88 = bitcast <32 x float> %v78 to <32 x i32>
  %v89 = shl <32 x i32> %v88, splat (i32 23)
  %v90 = bitcast <32 x i32> %v89 to <32 x float>
  %v91 = fmul <32 x float> %v87, %v90
  %v92 = fadd <32 x float> splat (float 0x3FF0000000000000), %v37
  %v93 = fadd <32 x float> splat (float 0x3FF0000000000000), %v55
  %v94 = fadd <32 x float> splat (float 0x3FF0000000000000), %v73
  %v95 = fadd <32 x float> splat (float 0x3FF0000000000000), %v91
  %v96 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v92
  %v97 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v93
  %v98 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v94
  %v99 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v95
  %v100 = fmul <32 x float> %u16.all, %v96
  %v101 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u17.all, <32 x float> %v97, <32 x float> %v100)
  %v102 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u18.all, <32 x float> %v98, <32 x float> %v101)
  %v103 = call <32 x float> @llvm.fma.v32f32(<32 x float> %u19.all, <32 x float> %v99, <32 x float> %v102)
  %v104 = fadd <32 x float> %v103, %u20.all
  %v105 = fneg <32 x float> %v104
  %v106 = fcmp olt <32 x float> %v105, splat (float 0xC055D58A00000000)
  %v107 = select <32 x i1> %v106, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v105
  %v108 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v107
  %v109 = select <32 x i1> %v108, <32 x float> splat (float 0x4056400000000000), <32 x float> %v107
  %v110 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v109, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v111 = fsub <32 x float> %v110, splat (float 0x4168000FC0000000)
  %v112 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v111, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v109)
  %v113 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v111, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v112)
  %v114 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v113, <32 x float> splat (float 0x3F91290520000000))
  %v115 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v114, <32 x float> %v113, <32 x float> splat (float 0x3FB55515E0000000))
  %v116 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v115, <32 x float> %v113, <32 x float> splat (float 0x3FD5553C00000000))
  %v117 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v116, <32 x float> %v113, <32 x float> splat (float 0x3FF0000020000000))
  %v118 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v117, <32 x float> %v113, <32 x float> splat (float 0x4000000000000000))
  %v119 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v118, <32 x float> %v113, <32 x float> splat (float 0x4000000000000000))
  %v120 = bitcast <32 x float> %v110 to <32 x i32>
  %v121 = shl <32 x i32> %v120, splat (i32 23)
  %v122 = bitcast <32 x i32> %v121 to <32 x float>
  %v123 = fmul <32 x float> %v119, %v122
  %v124 = fadd <32 x float> splat (float 0x3FF0000000000000), %v123
  %v125 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v124
  %v126 = fsub <32 x float> %v125, %x3
  %v127 = fmul <32 x float> %v126, %v96
  %v128 = fmul <32 x float> %v126, %v97
  %v129 = fmul <32 x float> %v126, %v98
  %v130 = fmul <32 x float> %v126, %v99
  %v131 = fmul <32 x float> %u16.all, %v126
  %v132 = fmul <32 x float> %u17.all, %v126
  %v133 = fmul <32 x float> %u18.all, %v126
  %v134 = fmul <32 x float> %u19.all, %v126
  %v135 = fsub <32 x float> splat (float 0x3FF0000000000000), %v96
  %v136 = fsub <32 x float> splat (float 0x3FF0000000000000), %v97
  %v137 = fsub <32 x float> splat (float 0x3FF0000000000000), %v98
  %v138 = fsub <32 x float> splat (float 0x3FF0000000000000), %v99
  %v139 = fmul <32 x float> %v131, %v135
  %v140 = fmul <32 x float> %v132, %v136
  %v141 = fmul <32 x float> %v133, %v137
  %v142 = fmul <32 x float> %v134, %v138
  %v143 = fmul <32 x float> %v139, %v96
  %v144 = fmul <32 x float> %v140, %v97
  %v145 = fmul <32 x float> %v141, %v98
  %v146 = fmul <32 x float> %v142, %v99
  %v147 = fmul <32 x float> %v143, %x0
  %v148 = fmul <32 x float> %v143, %x1
  %v149 = fmul <32 x float> %v143, %x2
  %v150 = fmul <32 x float> %v144, %x0
  %v151 = fmul <32 x float> %v144, %x1
  %v152 = fmul <32 x float> %v144, %x2
  %v153 = fmul <32 x float> %v145, %x0
  %v154 = fmul <32 x float> %v145, %x1
  %v155 = fmul <32 x float> %v145, %x2
  %v156 = fmul <32 x float> %v146, %x0
  %v157 = fmul <32 x float> %v146, %x1
  %v158 = fmul <32 x float> %v146, %x2
  %sum0.row = getelementptr float, ptr %lanesums, i64 0
  %sum0.at = getelementptr float, ptr %sum0.row, i64 %lane
  %sum0 = load <32 x float>, ptr %sum0.at, align 128
  %sum0.new = fadd <32 x float> %sum0, %v127
  %sum0.kept = select <32 x i1> %here, <32 x float> %sum0.new, <32 x float> %sum0
  store <32 x float> %sum0.kept, ptr %sum0.at, align 128
  %sum1.row = getelementptr float, ptr %lanesums, i64 32
  %sum1.at = getelementptr float, ptr %sum1.row, i64 %lane
  %sum1 = load <32 x float>, ptr %sum1.at, align 128
  %sum1.new = fadd <32 x float> %sum1, %v128
  %sum1.kept = select <32 x i1> %here, <32 x float> %sum1.new, <32 x float> %sum1
  store <32 x float> %sum1.kept, ptr %sum1.at, align 128
  %sum2.row = getelementptr float, ptr %lanesums, i64 64
  %sum2.at = getelementptr float, ptr %sum2.row, i64 %lane
  %sum2 = load <32 x float>, ptr %sum2.at, align 128
  %sum2.new = fadd <32 x float> %sum2, %v129
  %sum2.kept = select <32 x i1> %here, <32 x float> %sum2.new, <32 x float> %sum2
  store <32 x float> %sum2.kept, ptr %sum2.at, align 128
  %sum3.row = getelementptr float, ptr %lanesums, i64 96
  %sum3.at = getelementptr float, ptr %sum3.row, i64 %lane
  %sum3 = load <32 x float>, ptr %sum3.at, align 128
  %sum3.new = fadd <32 x float> %sum3, %v130
  %sum3.kept = select <32 x i1> %here, <32 x float> %sum3.new, <32 x float> %sum3
  store <32 x float> %sum3.kept, ptr %sum3.at, align 128
  %sum4.row = getelementptr float, ptr %lanesums, i64 128
  %sum4.at = getelementptr float, ptr %sum4.row, i64 %lane
  %sum4 = load <32 x float>, ptr %sum4.at, align 128
  %sum4.new = fadd <32 x float> %sum4, %v126
  %sum4.kept = select <32 x i1> %here, <32 x float> %sum4.new, <32 x float> %sum4
  store <32 x float> %sum4.kept, ptr %sum4.at, align 128
  %sum5.row = getelementptr float, ptr %lanesums, i64 160
  %sum5.at = getelementptr float, ptr %sum5.row, i64 %lane
  %sum5 = load <32 x float>, ptr %sum5.at, align 128
  %sum5.new = fadd <32 x float> %sum5, %v147
  %sum5.kept = select <32 x i1> %here, <32 x float> %sum5.new, <32 x float> %sum5
  store <32 x float> %sum5.kept, ptr %sum5.at, align 128
  %sum6.row = getelementptr float, ptr %lanesums, i64 192
  %sum6.at = getelementptr float, ptr %sum6.row, i64 %lane
  %sum6 = load <32 x float>, ptr %sum6.at, align 128
  %sum6.new = fadd <32 x float> %sum6, %v148
  %sum6.kept = select <32 x i1> %here, <32 x float> %sum6.new, <32 x float> %sum6
  store <32 x float> %sum6.kept, ptr %sum6.at, align 128
  %sum7.row = getelementptr float, ptr %lanesums, i64 224
  %sum7.at = getelementptr float, ptr %sum7.row, i64 %lane
  %sum7 = load <32 x float>, ptr %sum7.at, align 128
  %sum7.new = fadd <32 x float> %sum7, %v149
  %sum7.kept = select <32 x i1> %here, <32 x float> %sum7.new, <32 x float> %sum7
  store <32 x float> %sum7.kept, ptr %sum7.at, align 128
  %sum8.row = getelementptr float, ptr %lanesums, i64 256
  %sum8.at = getelementptr float, ptr %sum8.row, i64 %lane
  %sum8 = load <32 x float>, ptr %sum8.at, align 128
  %sum8.new = fadd <32 x float> %sum8, %v150
  %sum8.kept = select <32 x i1> %here, <32 x float> %sum8.new, <32 x float> %sum8
  store <32 x float> %sum8.kept, ptr %sum8.at, align 128
  %sum9.row = getelementptr float, ptr %lanesums, i64 288
  %sum9.at = getelementptr float, ptr %sum9.row, i64 %lane
  %sum9 = load <32 x float>, ptr %sum9.at, align 128
  %sum9.new = fadd <32 x float> %sum9, %v151
  %sum9.kept = select <32 x i1> %here, <32 x float> %sum9.new, <32 x float> %sum9
  store <32 x float> %sum9.kept, ptr %sum9.at, align 128
  %sum10.row = getelementptr float, ptr %lanesums, i64 320
  %sum10.at = getelementptr float, ptr %sum10.row, i64 %lane
  %sum10 = load <32 x float>, ptr %sum10.at, align 128
  %sum10.new = fadd <32 x float> %sum10, %v152
  %sum10.kept = select <32 x i1> %here, <32 x float> %sum10.new, <32 x float> %sum10
  store <32 x float> %sum10.kept, ptr %sum10.at, align 128
  %sum11.row = getelementptr float, ptr %lanesums, i64 352
  %sum11.at = getelementptr float, ptr %sum11.row, i64 %lane
  %sum11 = load <32 x float>, ptr %sum11.at, align 128
  %sum11.new = fadd <32 x float> %sum11, %v153
  %sum11.kept = select <32 x i1> %here, <32 x float> %sum11.new, <32 x float> %sum11
  store <32 x float> %sum11.kept, ptr %sum11.at, align 128
  %sum12.row = getelementptr float, ptr %lanesums, i64 384
  %sum12.at = getelementptr float, ptr %sum12.row, i64 %lane
  %sum12 = load <32 x float>, ptr %sum12.at, align 128
  %sum12.new = fadd <32 x float> %sum12, %v154
  %sum12.kept = select <32 x i1> %here, <32 x float> %sum12.new, <32 x float> %sum12
  store <32 x float> %sum12.kept, ptr %sum12.at, align 128
  %sum13.row = getelementptr float, ptr %lanesums, i64 416
  %sum13.at = getelementptr float, ptr %sum13.row, i64 %lane
  %sum13 = load <32 x float>, ptr %sum13.at, align 128
  %sum13.new = fadd <32 x float> %sum13, %v155
  %sum13.kept = select <32 x i1> %here, <32 x float> %sum13.new, <32 x float> %sum13
  store <32 x float> %sum13.kept, ptr %sum13.at, align 128
  %sum14.row = getelementptr float, ptr %lanesums, i64 448
  %sum14.at = getelementptr float, ptr %sum14.row, i64 %lane
  %sum14 = load <32 x float>, ptr %sum14.at, align 128
  %sum14.new = fadd <32 x float> %sum14, %v156
  %sum14.kept = select <32 x i1> %here, <32 x float> %sum14.new, <32 x float> %sum14
  store <32 x float> %sum14.kept, ptr %sum14.at, align 128
  %sum15.row = getelementptr float, ptr %lanesums, i64 480
  %sum15.at = getelementptr float, ptr %sum15.row, i64 %lane
  %sum15 = load <32 x float>, ptr %sum15.at, align 128
  %sum15.new = fadd <32 x float> %sum15, %v157
  %sum15.kept = select <32 x i1> %here, <32 x float> %sum15.new, <32 x float> %sum15
  store <32 x float> %sum15.kept, ptr %sum15.at, align 128
  %sum16.row = getelementptr float, ptr %lanesums, i64 512
  %sum16.at = getelementptr float, ptr %sum16.row, i64 %lane
  %sum16 = load <32 x float>, ptr %sum16.at, align 128
  %sum16.new = fadd <32 x float> %sum16, %v158
  %sum16.kept = select <32 x i1> %here, <32 x float> %sum16.new, <32 x float> %sum16
  store <32 x float> %sum16.kept, ptr %sum16.at, align 128
  %sum17.row = getelementptr float, ptr %lanesums, i64 544
  %sum17.at = getelementptr float, ptr %sum17.row, i64 %lane
  %sum17 = load <32 x float>, ptr %sum17.at, align 128
  %sum17.new = fadd <32 x float> %sum17, %v143
  %sum17.kept = select <32 x i1> %here, <32 x float> %sum17.new, <32 x float> %sum17
  store <32 x float> %sum17.kept, ptr %sum17.at, align 128
  %sum18.row = getelementptr float, ptr %lanesums, i64 576
  %sum18.at = getelementptr float, ptr %sum18.row, i64 %lane
  %sum18 = load <32 x float>, ptr %sum18.at, align 128
  %sum18.new = fadd <32 x float> %sum18, %v144
  %sum18.kept = select <32 x i1> %here, <32 x float> %sum18.new, <32 x float> %sum18
  store <32 x float> %sum18.kept, ptr %sum18.at, align 128
  %sum19.row = getelementptr float, ptr %lanesums, i64 608
  %sum19.at = getelementptr float, ptr %sum19.row, i64 %lane
  %sum19 = load <32 x float>, ptr %sum19.at, align 128
  %sum19.new = fadd <32 x float> %sum19, %v145
  %sum19.kept = select <32 x i1> %here, <32 x float> %sum19.new, <32 x float> %sum19
  store <32 x float> %sum19.kept, ptr %sum19.at, align 128
  %sum20.row = getelementptr float, ptr %lanesums, i64 640
  %sum20.at = getelementptr float, ptr %sum20.row, i64 %lane
  %sum20 = load <32 x float>, ptr %sum20.at, align 128
  %sum20.new = fadd <32 x float> %sum20, %v146
  %sum20.kept = select <32 x i1> %here, <32 x float> %sum20.new, <32 x float> %sum20
  store <32 x float> %sum20.kept, ptr %sum20.at, align 128
  %j.next = add i64 %j, 32
  %j.more = icmp slt i64 %j.next, %count
  br i1 %j.more, label %row, label %sum
sum:
  %s = phi i64 [ 0, %row ], [ %s.next, %sum ]
  %s.row = mul i64 %s, 32
  %s.at = getelementptr float, ptr %lanesums, i64 %s.row
  %h32 = load <32 x float>, ptr %s.at, align 64
  %low16 = shufflevector <32 x float> %h32, <32 x float> poison, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %high16 = shufflevector <32 x float> %h32, <32 x float> poison, <16 x i32> <i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %h16 = fadd <16 x float> %low16, %high16
  %low8 = shufflevector <16 x float> %h16, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %high8 = shufflevector <16 x float> %h16, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %h8 = fadd <8 x float> %low8, %high8
  %low4 = shufflevector <8 x float> %h8, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %high4 = shufflevector <8 x float> %h8, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %h4 = fadd <4 x float> %low4, %high4
  %low2 = shufflevector <4 x float> %h4, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %high2 = shufflevector <4 x float> %h4, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %h2 = fadd <2 x float> %low2, %high2
  %low1 = shufflevector <2 x float> %h2, <2 x float> poison, <1 x i32> <i32 0>
  %high1 = shufflevector <2 x float> %h2, <2 x float> poison, <1 x i32> <i32 1>
  %h1 = fadd <1 x float> %low1, %high1
  %s.sum = extractelement <1 x float> %h1, i64 0
  %s.out = getelementptr float, ptr %out, i64 %s
  store float %s.sum, ptr %s.out
  %s.next = add i64 %s, 1
  %s.more = icmp slt i64 %s.next, 21
  br i1 %s.more, label %sum, label %exit
exit:
  ret void
}

define internal void @tree(ptr noalias %parts, i64 %n) noinline {
entry:
  br label %level
level:
  %width = phi i64 [ 1, %entry ], [ %width.next, %level.end ]
  %width.next = mul i64 %width, 2
  %open = icmp slt i64 %width, %n
  br i1 %open, label %pair, label %exit
pair:
  %left = phi i64 [ 0, %level ], [ %left.next, %pair.end ]
  %right = add i64 %left, %width
  %both = icmp slt i64 %right, %n
  br i1 %both, label %add, label %level.end
add:
  %k = phi i64 [ 0, %pair ], [ %k.next, %add ]
  %left.row = mul i64 %left, 32
  %right.row = mul i64 %right, 32
  %left.k = add i64 %left.row, %k
  %right.k = add i64 %right.row, %k
  %left.at = getelementptr float, ptr %parts, i64 %left.k
  %right.at = getelementptr float, ptr %parts, i64 %right.k
  %a = load <16 x float>, ptr %left.at, align 4
  %b = load <16 x float>, ptr %right.at, align 4
  %total = fadd <16 x float> %a, %b
  store <16 x float> %total, ptr %left.at, align 4
  %k.next = add i64 %k, 16
  %k.more = icmp slt i64 %k.next, 32
  br i1 %k.more, label %add, label %pair.end
pair.end:
  %left.next = add i64 %left, %width.next
  br label %pair
level.end:
  br label %level
exit:
  ret void
}

define void @run(i64 %thread, i64 %threads, i64 %full, i64 %rest, i64 %chunks, i64 %chunktiles, i64 %sets,
                 i64 %iterations, ptr noalias %rows, ptr noalias %tailrows, ptr noalias %setnumbers, ptr %partial,
                 ptr %arrived, ptr noalias %total) {
entry:
  %all.size = mul i64 %chunks, 32
  %all.bytes = mul i64 %all.size, 4
  %tilesums = getelementptr float, ptr %total, i64 %all.size
  %lanesums = alloca float, i64 672, align 64
  %isrest = icmp sgt i64 %rest, 0
  %resttiles = zext i1 %isrest to i64
  %tiles = add i64 %full, %resttiles
  %first.scaled = mul i64 %chunks, %thread
  %first = sdiv i64 %first.scaled, %threads
  %thread.next = add i64 %thread, 1
  %last.scaled = mul i64 %chunks, %thread.next
  %last = sdiv i64 %last.scaled, %threads
  br label %set
set:
  %n = phi i64 [ 0, %entry ], [ %n.next, %set.end ]
  %n.k = mul i64 %n, 23
  %numbers = getelementptr float, ptr %setnumbers, i64 %n.k
  %it.first = mul i64 %n, %iterations
  %it.last = add i64 %it.first, %iterations
  br label %iteration
iteration:
  %it = phi i64 [ %it.first, %set ], [ %it.next, %follow ]
  %it.next = add i64 %it, 1
  %odd = and i64 %it, 1
  %sums.k = mul i64 %odd, %all.size
  %sums = getelementptr float, ptr %partial, i64 %sums.k
  br label %chunk
chunk:
  %c = phi i64 [ %first, %iteration ], [ %c.next, %chunk.end ]
  %c.mine = icmp slt i64 %c, %last
  br i1 %c.mine, label %chunk.start, label %arrive
chunk.start:
  %t.first = mul i64 %c, %chunktiles
  %t.far = add i64 %t.first, %chunktiles
  %t.over = icmp sgt i64 %t.far, %tiles
  %t.last = select i1 %t.over, i64 %tiles, i64 %t.far
  br label %tile
tile:
  %t = phi i64 [ %t.first, %chunk.start ], [ %t.next, %tile ]
  %t.full = icmp slt i64 %t, %full
  %t.rows = select i1 %t.full, ptr %rows, ptr %tailrows
  %t.start = mul i64 %t, 512
  %t.offset = select i1 %t.full, i64 %t.start, i64 0
  %t.count = select i1 %t.full, i64 512, i64 %rest
  %t.place = sub i64 %t, %t.first
  %t.k = mul i64 %t.place, 32
  %t.out = getelementptr float, ptr %tilesums, i64 %t.k
  call void @tile(ptr %t.rows, i64 %t.offset, i64 %t.count, ptr %numbers, ptr %lanesums, ptr %t.out)
  %t.next = add i64 %t, 1
  %t.more = icmp slt i64 %t.next, %t.last
  br i1 %t.more, label %tile, label %chunk.end
chunk.end:
  %c.tiles = sub i64 %t.last, %t.first
  call void @tree(ptr %tilesums, i64 %c.tiles)
  %c.k = mul i64 %c, 32
  %c.out = getelementptr float, ptr %sums, i64 %c.k
  call void @llvm.memcpy.p0.p0.i64(ptr %c.out, ptr %tilesums, i64 128, i1 false)
  %c.next = add i64 %c, 1
  br label %chunk
arrive:
  %before = atomicrmw add ptr %arrived, i64 1 release
  %goal = mul i64 %it.next, %threads
  br label %wait
wait:
  %spins = phi i64 [ 0, %arrive ], [ %spins.next, %look ], [ 0, %yield ]
  %now = load atomic i64, ptr %arrived acquire, align 8
  %complete = icmp sge i64 %now, %goal
  br i1 %complete, label %follow, label %look
look:
  %spins.next = add i64 %spins, 1
  %tired = icmp sgt i64 %spins.next, 2000
  br i1 %tired, label %yield, label %wait
yield:
  %yielded = call i32 @nn_backend_yield()
  br label %wait
follow:
  call void @llvm.memcpy.p0.p0.i64(ptr %total, ptr %sums, i64 %all.bytes, i1 false)
  call void @tree(ptr %total, i64 %chunks)
  %u21.at = getelementptr float, ptr %numbers, i64 21
  %u21 = load float, ptr %u21.at
  %u22.at = getelementptr float, ptr %numbers, i64 22
  %u22 = load float, ptr %u22.at
  %u16.at = getelementptr float, ptr %numbers, i64 16
  %u16 = load float, ptr %u16.at
  %u17.at = getelementptr float, ptr %numbers, i64 17
  %u17 = load float, ptr %u17.at
  %u18.at = getelementptr float, ptr %numbers, i64 18
  %u18 = load float, ptr %u18.at
  %u19.at = getelementptr float, ptr %numbers, i64 19
  %u19 = load float, ptr %u19.at
  %u20.at = getelementptr float, ptr %numbers, i64 20
  %u20 = load float, ptr %u20.at
  %u0.at = getelementptr float, ptr %numbers, i64 0
  %u0 = load float, ptr %u0.at
  %u1.at = getelementptr float, ptr %numbers, i64 1
  %u1 = load float, ptr %u1.at
  %u2.at = getelementptr float, ptr %numbers, i64 2
  %u2 = load float, ptr %u2.at
  %u3.at = getelementptr float, ptr %numbers, i64 3
  %u3 = load float, ptr %u3.at
  %u4.at = getelementptr float, ptr %numbers, i64 4
  %u4 = load float, ptr %u4.at
  %u5.at = getelementptr float, ptr %numbers, i64 5
  %u5 = load float, ptr %u5.at
  %u6.at = getelementptr float, ptr %numbers, i64 6
  %u6 = load float, ptr %u6.at
  %u7.at = getelementptr float, ptr %numbers, i64 7
  %u7 = load float, ptr %u7.at
  %u8.at = getelementptr float, ptr %numbers, i64 8
  %u8 = load float, ptr %u8.at
  %u9.at = getelementptr float, ptr %numbers, i64 9
  %u9 = load float, ptr %u9.at
  %u10.at = getelementptr float, ptr %numbers, i64 10
  %u10 = load float, ptr %u10.at
  %u11.at = getelementptr float, ptr %numbers, i64 11
  %u11 = load float, ptr %u11.at
  %u12.at = getelementptr float, ptr %numbers, i64 12
  %u12 = load float, ptr %u12.at
  %u13.at = getelementptr float, ptr %numbers, i64 13
  %u13 = load float, ptr %u13.at
  %u14.at = getelementptr float, ptr %numbers, i64 14
  %u14 = load float, ptr %u14.at
  %u15.at = getelementptr float, ptr %numbers, i64 15
  %u15 = load float, ptr %u15.at
  %s0.at = getelementptr float, ptr %total, i64 0
  %s0 = load float, ptr %s0.at
  %s1.at = getelementptr float, ptr %total, i64 1
  %s1 = load float, ptr %s1.at
  %s2.at = getelementptr float, ptr %total, i64 2
  %s2 = load float, ptr %s2.at
  %s3.at = getelementptr float, ptr %total, i64 3
  %s3 = load float, ptr %s3.at
  %s4.at = getelementptr float, ptr %total, i64 4
  %s4 = load float, ptr %s4.at
  %s5.at = getelementptr float, ptr %total, i64 5
  %s5 = load float, ptr %s5.at
  %s6.at = getelementptr float, ptr %total, i64 6
  %s6 = load float, ptr %s6.at
  %s7.at = getelementptr float, ptr %total, i64 7
  %s7 = load float, ptr %s7.at
  %s8.at = getelementptr float, ptr %total, i64 8
  %s8 = load float, ptr %s8.at
  %s9.at = getelementptr float, ptr %total, i64 9
  %s9 = load float, ptr %s9.at
  %s10.at = getelementptr float, ptr %total, i64 10
  %s10 = load float, ptr %s10.at
  %s11.at = getelementptr float, ptr %total, i64 11
  %s11 = load float, ptr %s11.at
  %s12.at = getelementptr float, ptr %total, i64 12
  %s12 = load float, ptr %s12.at
  %s13.at = getelementptr float, ptr %total, i64 13
  %s13 = load float, ptr %s13.at
  %s14.at = getelementptr float, ptr %total, i64 14
  %s14 = load float, ptr %s14.at
  %s15.at = getelementptr float, ptr %total, i64 15
  %s15 = load float, ptr %s15.at
  %s16.at = getelementptr float, ptr %total, i64 16
  %s16 = load float, ptr %s16.at
  %s17.at = getelementptr float, ptr %total, i64 17
  %s17 = load float, ptr %s17.at
  %s18.at = getelementptr float, ptr %total, i64 18
  %s18 = load float, ptr %s18.at
  %s19.at = getelementptr float, ptr %total, i64 19
  %s19 = load float, ptr %s19.at
  %s20.at = getelementptr float, ptr %total, i64 20
  %s20 = load float, ptr %s20.at
  %r0 = fdiv float %s0, %u21
  %r1 = fdiv float %s1, %u21
  %r2 = fdiv float %s2, %u21
  %r3 = fdiv float %s3, %u21
  %r4 = fdiv float %s4, %u21
  %r5 = fdiv float %s5, %u21
  %r6 = fdiv float %s6, %u21
  %r7 = fdiv float %s7, %u21
  %r8 = fdiv float %s8, %u21
  %r9 = fdiv float %s9, %u21
  %r10 = fdiv float %s10, %u21
  %r11 = fdiv float %s11, %u21
  %r12 = fdiv float %s12, %u21
  %r13 = fdiv float %s13, %u21
  %r14 = fdiv float %s14, %u21
  %r15 = fdiv float %s15, %u21
  %r16 = fdiv float %s16, %u21
  %r17 = fdiv float %s17, %u21
  %r18 = fdiv float %s18, %u21
  %r19 = fdiv float %s19, %u21
  %r20 = fdiv float %s20, %u21
  %r21 = fmul float %u22, %r0
  %r22 = fmul float %u22, %r1
  %r23 = fmul float %u22, %r2
  %r24 = fmul float %u22, %r3
  %r25 = fsub float %u16, %r21
  %r26 = fsub float %u17, %r22
  %r27 = fsub float %u18, %r23
  %r28 = fsub float %u19, %r24
  %r29 = fmul float %u22, %r4
  %r30 = fsub float %u20, %r29
  %r31 = fmul float %u22, %r5
  %r32 = fmul float %u22, %r6
  %r33 = fmul float %u22, %r7
  %r34 = fmul float %u22, %r8
  %r35 = fmul float %u22, %r9
  %r36 = fmul float %u22, %r10
  %r37 = fmul float %u22, %r11
  %r38 = fmul float %u22, %r12
  %r39 = fmul float %u22, %r13
  %r40 = fmul float %u22, %r14
  %r41 = fmul float %u22, %r15
  %r42 = fmul float %u22, %r16
  %r43 = fsub float %u0, %r31
  %r44 = fsub float %u1, %r32
  %r45 = fsub float %u2, %r33
  %r46 = fsub float %u3, %r34
  %r47 = fsub float %u4, %r35
  %r48 = fsub float %u5, %r36
  %r49 = fsub float %u6, %r37
  %r50 = fsub float %u7, %r38
  %r51 = fsub float %u8, %r39
  %r52 = fsub float %u9, %r40
  %r53 = fsub float %u10, %r41
  %r54 = fsub float %u11, %r42
  %r55 = fmul float %u22, %r17
  %r56 = fmul float %u22, %r18
  %r57 = fmul float %u22, %r19
  %r58 = fmul float %u22, %r20
  %r59 = fsub float %u12, %r55
  %r60 = fsub float %u13, %r56
  %r61 = fsub float %u14, %r57
  %r62 = fsub float %u15, %r58
  %out0 = getelementptr float, ptr %numbers, i64 0
  store float %r43, ptr %out0
  %out1 = getelementptr float, ptr %numbers, i64 1
  store float %r44, ptr %out1
  %out2 = getelementptr float, ptr %numbers, i64 2
  store float %r45, ptr %out2
  %out3 = getelementptr float, ptr %numbers, i64 3
  store float %r46, ptr %out3
  %out4 = getelementptr float, ptr %numbers, i64 4
  store float %r47, ptr %out4
  %out5 = getelementptr float, ptr %numbers, i64 5
  store float %r48, ptr %out5
  %out6 = getelementptr float, ptr %numbers, i64 6
  store float %r49, ptr %out6
  %out7 = getelementptr float, ptr %numbers, i64 7
  store float %r50, ptr %out7
  %out8 = getelementptr float, ptr %numbers, i64 8
  store float %r51, ptr %out8
  %out9 = getelementptr float, ptr %numbers, i64 9
  store float %r52, ptr %out9
  %out10 = getelementptr float, ptr %numbers, i64 10
  store float %r53, ptr %out10
  %out11 = getelementptr float, ptr %numbers, i64 11
  store float %r54, ptr %out11
  %out12 = getelementptr float, ptr %numbers, i64 12
  store float %r59, ptr %out12
  %out13 = getelementptr float, ptr %numbers, i64 13
  store float %r60, ptr %out13
  %out14 = getelementptr float, ptr %numbers, i64 14
  store float %r61, ptr %out14
  %out15 = getelementptr float, ptr %numbers, i64 15
  store float %r62, ptr %out15
  %out16 = getelementptr float, ptr %numbers, i64 16
  store float %r25, ptr %out16
  %out17 = getelementptr float, ptr %numbers, i64 17
  store float %r26, ptr %out17
  %out18 = getelementptr float, ptr %numbers, i64 18
  store float %r27, ptr %out18
  %out19 = getelementptr float, ptr %numbers, i64 19
  store float %r28, ptr %out19
  %out20 = getelementptr float, ptr %numbers, i64 20
  store float %r30, ptr %out20
  %again = icmp slt i64 %it.next, %it.last
  br i1 %again, label %iteration, label %set.end
set.end:
  %n.next = add i64 %n, 1
  %n.more = icmp slt i64 %n.next, %sets
  br i1 %n.more, label %set, label %exit
exit:
  ret void
}
