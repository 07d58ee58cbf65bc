declare i1 @llvm.vector.reduce.or.v16i1(<16 x i1>)
declare <16 x float> @llvm.fabs.v16f32(<16 x float>)
declare <16 x float> @llvm.sqrt.v16f32(<16 x float>)
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <32 x float> @llvm.fabs.v32f32(<32 x float>)
declare <32 x float> @llvm.sqrt.v32f32(<32 x float>)
declare <32 x float> @llvm.fma.v32f32(<32 x float>, <32 x float>, <32 x float>)

define internal void @tile(i64 %strips, i64 %left, ptr noalias %examples, ptr noalias %own, ptr noalias %outputs, ptr noalias %state, ptr noalias %numbers, ptr noalias %scratch, ptr noalias %sums) noinline {
entry:
  %a1 = alloca i64, align 64
  %a33 = alloca <32 x float>, align 64
  %a34 = alloca <32 x float>, align 64
  %a35 = alloca <32 x float>, align 64
  %a36 = alloca <32 x float>, align 64
  %a37 = alloca i64, align 64
  %a196 = alloca i64, align 64
  %a213 = alloca <32 x float>, align 64
  %a214 = alloca i64, align 64
  %a269 = alloca i64, align 64
  %a339 = alloca <16 x float>, align 64
  %a340 = alloca <16 x float>, align 64
  %a341 = alloca <16 x float>, align 64
  %a342 = alloca <16 x float>, align 64
  %a343 = alloca <16 x float>, align 64
  %a344 = alloca i64, align 64
  %a427 = alloca <16 x float>, align 64
  %a428 = alloca <16 x float>, align 64
  %a429 = alloca <16 x float>, align 64
  %a430 = alloca <16 x float>, align 64
  %a431 = alloca <16 x float>, align 64
  %a432 = alloca <16 x float>, align 64
  %a433 = alloca <16 x float>, align 64
  %a434 = alloca <16 x float>, align 64
  %a435 = alloca <16 x float>, align 64
  %a436 = alloca <16 x float>, align 64
  %a437 = alloca <16 x float>, align 64
  %a438 = alloca <16 x float>, align 64
  %a439 = alloca <16 x float>, align 64
  %a440 = alloca <16 x float>, align 64
  %a441 = alloca <16 x float>, align 64
  %a442 = alloca <16 x float>, align 64
  %a443 = alloca i64, align 64
  br label %body
body:
  store i64 0, ptr %a1
  br label %loop2
loop2:
  %v3 = load i64, ptr %a1
  %v4 = mul nuw nsw i64 %v3, 32
  %v5 = sub i64 %left, %v4
  %v6 = trunc i64 %v5 to i32
  %v7 = insertelement <32 x i32> poison, i32 %v6, i64 0
  %v8 = shufflevector <32 x i32> %v7, <32 x i32> poison, <32 x i32> zeroinitializer
  %v9 = icmp sgt <32 x i32> %v8, <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v10 = mul nuw nsw i64 %v3, 128
  %v11 = getelementptr inbounds float, ptr %examples, i64 %v10
  %v12 = load <32 x float>, ptr %v11, align 64
  %v13 = getelementptr inbounds float, ptr %state, i64 0
  %v14 = load float, ptr %v13
  %v15 = insertelement <32 x float> poison, float %v14, i64 0
  %v16 = shufflevector <32 x float> %v15, <32 x float> poison, <32 x i32> zeroinitializer
  %v17 = fmul <32 x float> %v16, %v12
  %v18 = getelementptr inbounds float, ptr %state, i64 3
  %v19 = load float, ptr %v18
  %v20 = insertelement <32 x float> poison, float %v19, i64 0
  %v21 = shufflevector <32 x float> %v20, <32 x float> poison, <32 x i32> zeroinitializer
  %v22 = fmul <32 x float> %v21, %v12
  %v23 = getelementptr inbounds float, ptr %state, i64 6
  %v24 = load float, ptr %v23
  %v25 = insertelement <32 x float> poison, float %v24, i64 0
  %v26 = shufflevector <32 x float> %v25, <32 x float> poison, <32 x i32> zeroinitializer
  %v27 = fmul <32 x float> %v26, %v12
  %v28 = getelementptr inbounds float, ptr %state, i64 9
  %v29 = load float, ptr %v28
  %v30 = insertelement <32 x float> poison, float %v29, i64 0
  %v31 = shufflevector <32 x float> %v30, <32 x float> poison, <32 x i32> zeroinitializer
  %v32 = fmul <32 x float> %v31, %v12
  store <32 x float> %v17, ptr %a33
  store <32 x float> %v22, ptr %a34
  store <32 x float> %v27, ptr %a35
  store <32 x float> %v32, ptr %a36
  store i64 1, ptr %a37
  br label %loop38
loop38:
  %v39 = load i64, ptr %a37
  %v40 = mul nuw nsw i64 %v3, 128
  %v41 = mul nuw nsw i64 %v39, 32
  %v42 = add nuw nsw i64 %v40, %v41
  %v43 = getelementptr inbounds float, ptr %examples, i64 %v42
  %v44 = load <32 x float>, ptr %v43, align 64
  %v45 = getelementptr inbounds float, ptr %state, i64 %v39
  %v46 = load float, ptr %v45
  %v47 = insertelement <32 x float> poison, float %v46, i64 0
  %v48 = shufflevector <32 x float> %v47, <32 x float> poison, <32 x i32> zeroinitializer
  %v49 = load <32 x float>, ptr %a33
  %v50 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v48, <32 x float> %v44, <32 x float> %v49)
  store <32 x float> %v50, ptr %a33
  %v51 = add nuw nsw i64 %v39, 3
  %v52 = getelementptr inbounds float, ptr %state, i64 %v51
  %v53 = load float, ptr %v52
  %v54 = insertelement <32 x float> poison, float %v53, i64 0
  %v55 = shufflevector <32 x float> %v54, <32 x float> poison, <32 x i32> zeroinitializer
  %v56 = load <32 x float>, ptr %a34
  %v57 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v55, <32 x float> %v44, <32 x float> %v56)
  store <32 x float> %v57, ptr %a34
  %v58 = add nuw nsw i64 %v39, 6
  %v59 = getelementptr inbounds float, ptr %state, i64 %v58
  %v60 = load float, ptr %v59
  %v61 = insertelement <32 x float> poison, float %v60, i64 0
  %v62 = shufflevector <32 x float> %v61, <32 x float> poison, <32 x i32> zeroinitializer
  %v63 = load <32 x float>, ptr %a35
  %v64 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v62, <32 x float> %v44, <32 x float> %v63)
  store <32 x float> %v64, ptr %a35
  %v65 = add nuw nsw i64 %v39, 9
  %v66 = getelementptr inbounds float, ptr %state, i64 %v65
  %v67 = load float, ptr %v66
  %v68 = insertelement <32 x float> poison, float %v67, i64 0
  %v69 = shufflevector <32 x float> %v68, <32 x float> poison, <32 x i32> zeroinitializer
  %v70 = load <32 x float>, ptr %a36
  %v71 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v69, <32 x float> %v44, <32 x float> %v70)
  store <32 x float> %v71, ptr %a36
  %v72 = add nuw nsw i64 %v39, 1
  store i64 %v72, ptr %a37
  %v73 = icmp slt i64 %v72, 3
  br i1 %v73, label %loop38, label %loop38.end
loop38.end:
  %v74 = load <32 x float>, ptr %a33
  %v75 = load <32 x float>, ptr %a34
  %v76 = load <32 x float>, ptr %a35
  %v77 = load <32 x float>, ptr %a36
  %v78 = getelementptr inbounds float, ptr %state, i64 16
  %v79 = load float, ptr %v78
  %v80 = insertelement <32 x float> poison, float %v79, i64 0
  %v81 = shufflevector <32 x float> %v80, <32 x float> poison, <32 x i32> zeroinitializer
  %v82 = getelementptr inbounds float, ptr %state, i64 17
  %v83 = load float, ptr %v82
  %v84 = insertelement <32 x float> poison, float %v83, i64 0
  %v85 = shufflevector <32 x float> %v84, <32 x float> poison, <32 x i32> zeroinitializer
  %v86 = getelementptr inbounds float, ptr %state, i64 18
  %v87 = load float, ptr %v86
  %v88 = insertelement <32 x float> poison, float %v87, i64 0
  %v89 = shufflevector <32 x float> %v88, <32 x float> poison, <32 x i32> zeroinitializer
  %v90 = getelementptr inbounds float, ptr %state, i64 19
  %v91 = load float, ptr %v90
  %v92 = insertelement <32 x float> poison, float %v91, i64 0
  %v93 = shufflevector <32 x float> %v92, <32 x float> poison, <32 x i32> zeroinitializer
  %v94 = fadd <32 x float> %v74, %v81
  %v95 = fadd <32 x float> %v75, %v85
  %v96 = fadd <32 x float> %v76, %v89
  %v97 = fadd <32 x float> %v77, %v93
  %v98 = fneg <32 x float> %v94
  %v99 = fneg <32 x float> %v95
  %v100 = fneg <32 x float> %v96
  %v101 = fneg <32 x float> %v97
  %v102 = fcmp olt <32 x float> %v98, splat (float 0xC055D58A00000000)
  %v103 = fcmp olt <32 x float> %v99, splat (float 0xC055D58A00000000)
  %v104 = fcmp olt <32 x float> %v100, splat (float 0xC055D58A00000000)
  %v105 = fcmp olt <32 x float> %v101, splat (float 0xC055D58A00000000)
  %v106 = select <32 x i1> %v102, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v98
  %v107 = select <32 x i1> %v103, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v99
  %v108 = select <32 x i1> %v104, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v100
  %v109 = select <32 x i1> %v105, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v101
  %v110 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v106
  %v111 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v107
  %v112 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v108
  %v113 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v109
  %v114 = select <32 x i1> %v110, <32 x float> splat (float 0x4056400000000000), <32 x float> %v106
  %v115 = select <32 x i1> %v111, <32 x float> splat (float 0x4056400000000000), <32 x float> %v107
  %v116 = select <32 x i1> %v112, <32 x float> splat (float 0x4056400000000000), <32 x float> %v108
  %v117 = select <32 x i1> %v113, <32 x float> splat (float 0x4056400000000000), <32 x float> %v109
  %v118 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v114, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v119 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v115, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v120 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v116, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v121 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v117, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v122 = fsub <32 x float> %v118, splat (float 0x4168000FC0000000)
  %v123 = fsub <32 x float> %v119, splat (float 0x4168000FC0000000)
  %v124 = fsub <32 x float> %v120, splat (float 0x4168000FC0000000)
  %v125 = fsub <32 x float> %v121, splat (float 0x4168000FC0000000)
  %v126 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v122, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v114)
  %v127 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v123, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v115)
  %v128 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v124, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v116)
  %v129 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v125, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v117)
  %v130 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v122, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v126)
  %v131 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v123, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v127)
  %v132 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v124, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v128)
  %v133 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v125, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v129)
  %v134 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v130, <32 x float> splat (float 0x3F91290520000000))
  %v135 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v131, <32 x float> splat (float 0x3F91290520000000))
  %v136 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v132, <32 x float> splat (float 0x3F91290520000000))
  %v137 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v133, <32 x float> splat (float 0x3F91290520000000))
  %v138 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v134, <32 x float> %v130, <32 x float> splat (float 0x3FB55515E0000000))
  %v139 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v135, <32 x float> %v131, <32 x float> splat (float 0x3FB55515E0000000))
  %v140 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v136, <32 x float> %v132, <32 x float> splat (float 0x3FB55515E0000000))
  %v141 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v137, <32 x float> %v133, <32 x float> splat (float 0x3FB55515E0000000))
  %v142 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v138, <32 x float> %v130, <32 x float> splat (float 0x3FD5553C00000000))
  %v143 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v139, <32 x float> %v131, <32 x float> splat (float 0x3FD5553C00000000))
  %v144 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v140, <32 x float> %v132, <32 x float> splat (float 0x3FD5553C00000000))
  %v145 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v141, <32 x float> %v133, <32 x float> splat (float 0x3FD5553C00000000))
  %v146 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v142, <32 x float> %v130, <32 x float> splat (float 0x3FF0000020000000))
  %v147 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v143, <32 x float> %v131, <32 x float> splat (float 0x3FF0000020000000))
  %v148 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v144, <32 x float> %v132, <32 x float> splat (float 0x3FF0000020000000))
  %v149 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v145, <32 x float> %v133, <32 x float> splat (float 0x3FF0000020000000))
  %v150 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v146, <32 x float> %v130, <32 x float> splat (float 0x4000000000000000))
  %v151 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v147, <32 x float> %v131, <32 x float> splat (float 0x4000000000000000))
  %v152 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v148, <32 x float> %v132, <32 x float> splat (float 0x4000000000000000))
  %v153 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v149, <32 x float> %v133, <32 x float> splat (float 0x4000000000000000))
  %v154 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v150, <32 x float> %v130, <32 x float> splat (float 0x4000000000000000))
  %v155 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v151, <32 x float> %v131, <32 x float> splat (float 0x4000000000000000))
  %v156 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v152, <32 x float> %v132, <32 x float> splat (float 0x4000000000000000))
  %v157 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v153, <32 x float> %v133, <32 x float> splat (float 0x4000000000000000))
  %v158 = bitcast <32 x float> %v118 to <32 x i32>
  %v159 = bitcast <32 x float> %v119 to <32 x i32>
  %v160 = bitcast <32 x float> %v120 to <32 x i32>
  %v161 = bitcast <32 x float> %v121 to <32 x i32>
  %v162 = shl <32 x i32> %v158, splat (i32 23)
  %v163 = shl <32 x i32> %v159, splat (i32 23)
  %v164 = shl <32 x i32> %v160, splat (i32 23)
  %v165 = shl <32 x i32> %v161, splat (i32 23)
  %v166 = bitcast <32 x i32> %v162 to <32 x float>
  %v167 = bitcast <32 x i32> %v163 to <32 x float>
  %v168 = bitcast <32 x i32> %v164 to <32 x float>
  %v169 = bitcast <32 x i32> %v165 to <32 x float>
  %v170 = fmul <32 x float> %v154, %v166
  %v171 = fmul <32 x float> %v155, %v167
  %v172 = fmul <32 x float> %v156, %v168
  %v173 = fmul <32 x float> %v157, %v169
  %v174 = fadd <32 x float> splat (float 0x3FF0000000000000), %v170
  %v175 = fadd <32 x float> splat (float 0x3FF0000000000000), %v171
  %v176 = fadd <32 x float> splat (float 0x3FF0000000000000), %v172
  %v177 = fadd <32 x float> splat (float 0x3FF0000000000000), %v173
  %v178 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v174
  %v179 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v175
  %v180 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v176
  %v181 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v177
  %v182 = select <32 x i1> %v9, <32 x float> %v178, <32 x float> zeroinitializer
  %v183 = mul nuw nsw i64 %v3, 288
  %v184 = getelementptr inbounds float, ptr %scratch, i64 %v183
  store <32 x float> %v182, ptr %v184, align 64
  %v185 = select <32 x i1> %v9, <32 x float> %v179, <32 x float> zeroinitializer
  %v186 = add nuw nsw i64 %v183, 32
  %v187 = getelementptr inbounds float, ptr %scratch, i64 %v186
  store <32 x float> %v185, ptr %v187, align 64
  %v188 = select <32 x i1> %v9, <32 x float> %v180, <32 x float> zeroinitializer
  %v189 = add nuw nsw i64 %v183, 64
  %v190 = getelementptr inbounds float, ptr %scratch, i64 %v189
  store <32 x float> %v188, ptr %v190, align 64
  %v191 = select <32 x i1> %v9, <32 x float> %v181, <32 x float> zeroinitializer
  %v192 = add nuw nsw i64 %v183, 96
  %v193 = getelementptr inbounds float, ptr %scratch, i64 %v192
  store <32 x float> %v191, ptr %v193, align 64
  %v194 = add nuw nsw i64 %v3, 1
  store i64 %v194, ptr %a1
  %v195 = icmp slt i64 %v194, %strips
  br i1 %v195, label %loop2, label %loop2.end
loop2.end:
  store i64 0, ptr %a196
  br label %loop197
loop197:
  %v198 = load i64, ptr %a196
  %v199 = mul nuw nsw i64 %v198, 32
  %v200 = sub i64 %left, %v199
  %v201 = trunc i64 %v200 to i32
  %v202 = insertelement <32 x i32> poison, i32 %v201, i64 0
  %v203 = shufflevector <32 x i32> %v202, <32 x i32> poison, <32 x i32> zeroinitializer
  %v204 = icmp sgt <32 x i32> %v203, <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v205 = mul nuw nsw i64 %v198, 288
  %v206 = getelementptr inbounds float, ptr %scratch, i64 %v205
  %v207 = load <32 x float>, ptr %v206, align 64
  %v208 = getelementptr inbounds float, ptr %state, i64 32
  %v209 = load float, ptr %v208
  %v210 = insertelement <32 x float> poison, float %v209, i64 0
  %v211 = shufflevector <32 x float> %v210, <32 x float> poison, <32 x i32> zeroinitializer
  %v212 = fmul <32 x float> %v211, %v207
  store <32 x float> %v212, ptr %a213
  store i64 1, ptr %a214
  br label %loop215
loop215:
  %v216 = load i64, ptr %a214
  %v217 = mul nuw nsw i64 %v198, 288
  %v218 = mul nuw nsw i64 %v216, 32
  %v219 = add nuw nsw i64 %v217, %v218
  %v220 = getelementptr inbounds float, ptr %scratch, i64 %v219
  %v221 = load <32 x float>, ptr %v220, align 64
  %v222 = add nuw nsw i64 %v216, 32
  %v223 = getelementptr inbounds float, ptr %state, i64 %v222
  %v224 = load float, ptr %v223
  %v225 = insertelement <32 x float> poison, float %v224, i64 0
  %v226 = shufflevector <32 x float> %v225, <32 x float> poison, <32 x i32> zeroinitializer
  %v227 = load <32 x float>, ptr %a213
  %v228 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v226, <32 x float> %v221, <32 x float> %v227)
  store <32 x float> %v228, ptr %a213
  %v229 = add nuw nsw i64 %v216, 1
  store i64 %v229, ptr %a214
  %v230 = icmp slt i64 %v229, 4
  br i1 %v230, label %loop215, label %loop215.end
loop215.end:
  %v231 = load <32 x float>, ptr %a213
  %v232 = getelementptr inbounds float, ptr %state, i64 48
  %v233 = load float, ptr %v232
  %v234 = insertelement <32 x float> poison, float %v233, i64 0
  %v235 = shufflevector <32 x float> %v234, <32 x float> poison, <32 x i32> zeroinitializer
  %v236 = fadd <32 x float> %v231, %v235
  %v237 = fneg <32 x float> %v236
  %v238 = fcmp olt <32 x float> %v237, splat (float 0xC055D58A00000000)
  %v239 = select <32 x i1> %v238, <32 x float> splat (float 0xC055D58A00000000), <32 x float> %v237
  %v240 = fcmp olt <32 x float> splat (float 0x4056400000000000), %v239
  %v241 = select <32 x i1> %v240, <32 x float> splat (float 0x4056400000000000), <32 x float> %v239
  %v242 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v241, <32 x float> splat (float 0x3FF7154760000000), <32 x float> splat (float 0x4168000FC0000000))
  %v243 = fsub <32 x float> %v242, splat (float 0x4168000FC0000000)
  %v244 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v243, <32 x float> splat (float 0xBFE62E4000000000), <32 x float> %v241)
  %v245 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v243, <32 x float> splat (float 0xBEB7F7D1C0000000), <32 x float> %v244)
  %v246 = call <32 x float> @llvm.fma.v32f32(<32 x float> splat (float 0x3F6709BA00000000), <32 x float> %v245, <32 x float> splat (float 0x3F91290520000000))
  %v247 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v246, <32 x float> %v245, <32 x float> splat (float 0x3FB55515E0000000))
  %v248 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v247, <32 x float> %v245, <32 x float> splat (float 0x3FD5553C00000000))
  %v249 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v248, <32 x float> %v245, <32 x float> splat (float 0x3FF0000020000000))
  %v250 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v249, <32 x float> %v245, <32 x float> splat (float 0x4000000000000000))
  %v251 = call <32 x float> @llvm.fma.v32f32(<32 x float> %v250, <32 x float> %v245, <32 x float> splat (float 0x4000000000000000))
  %v252 = bitcast <32 x float> %v242 to <32 x i32>
  %v253 = shl <32 x i32> %v252, splat (i32 23)
  %v254 = bitcast <32 x i32> %v253 to <32 x float>
  %v255 = fmul <32 x float> %v251, %v254
  %v256 = fadd <32 x float> splat (float 0x3FF0000000000000), %v255
  %v257 = fdiv <32 x float> splat (float 0x3FF0000000000000), %v256
  %v258 = mul nuw nsw i64 %v198, 128
  %v259 = add nuw nsw i64 %v258, 96
  %v260 = getelementptr inbounds float, ptr %examples, i64 %v259
  %v261 = load <32 x float>, ptr %v260, align 64
  %v262 = fsub <32 x float> %v257, %v261
  %v263 = select <32 x i1> %v204, <32 x float> %v262, <32 x float> zeroinitializer
  %v264 = mul nuw nsw i64 %v198, 288
  %v265 = add nuw nsw i64 %v264, 128
  %v266 = getelementptr inbounds float, ptr %scratch, i64 %v265
  store <32 x float> %v263, ptr %v266, align 64
  %v267 = add nuw nsw i64 %v198, 1
  store i64 %v267, ptr %a196
  %v268 = icmp slt i64 %v267, %strips
  br i1 %v268, label %loop197, label %loop197.end
loop197.end:
  store i64 0, ptr %a269
  br label %loop270
loop270:
  %v271 = load i64, ptr %a269
  %v272 = mul nuw nsw i64 %v271, 32
  %v273 = sub i64 %left, %v272
  %v274 = trunc i64 %v273 to i32
  %v275 = insertelement <32 x i32> poison, i32 %v274, i64 0
  %v276 = shufflevector <32 x i32> %v275, <32 x i32> poison, <32 x i32> zeroinitializer
  %v277 = icmp sgt <32 x i32> %v276, <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v278 = mul nuw nsw i64 %v271, 288
  %v279 = add nuw nsw i64 %v278, 128
  %v280 = getelementptr inbounds float, ptr %scratch, i64 %v279
  %v281 = load <32 x float>, ptr %v280, align 64
  %v282 = getelementptr inbounds float, ptr %state, i64 32
  %v283 = load float, ptr %v282
  %v284 = insertelement <32 x float> poison, float %v283, i64 0
  %v285 = shufflevector <32 x float> %v284, <32 x float> poison, <32 x i32> zeroinitializer
  %v286 = fmul <32 x float> %v285, %v281
  %v287 = getelementptr inbounds float, ptr %state, i64 33
  %v288 = load float, ptr %v287
  %v289 = insertelement <32 x float> poison, float %v288, i64 0
  %v290 = shufflevector <32 x float> %v289, <32 x float> poison, <32 x i32> zeroinitializer
  %v291 = fmul <32 x float> %v290, %v281
  %v292 = getelementptr inbounds float, ptr %state, i64 34
  %v293 = load float, ptr %v292
  %v294 = insertelement <32 x float> poison, float %v293, i64 0
  %v295 = shufflevector <32 x float> %v294, <32 x float> poison, <32 x i32> zeroinitializer
  %v296 = fmul <32 x float> %v295, %v281
  %v297 = getelementptr inbounds float, ptr %state, i64 35
  %v298 = load float, ptr %v297
  %v299 = insertelement <32 x float> poison, float %v298, i64 0
  %v300 = shufflevector <32 x float> %v299, <32 x float> poison, <32 x i32> zeroinitializer
  %v301 = fmul <32 x float> %v300, %v281
  %v302 = getelementptr inbounds float, ptr %scratch, i64 %v278
  %v303 = load <32 x float>, ptr %v302, align 64
  %v304 = add nuw nsw i64 %v278, 32
  %v305 = getelementptr inbounds float, ptr %scratch, i64 %v304
  %v306 = load <32 x float>, ptr %v305, align 64
  %v307 = add nuw nsw i64 %v278, 64
  %v308 = getelementptr inbounds float, ptr %scratch, i64 %v307
  %v309 = load <32 x float>, ptr %v308, align 64
  %v310 = add nuw nsw i64 %v278, 96
  %v311 = getelementptr inbounds float, ptr %scratch, i64 %v310
  %v312 = load <32 x float>, ptr %v311, align 64
  %v313 = fsub <32 x float> splat (float 0x3FF0000000000000), %v303
  %v314 = fsub <32 x float> splat (float 0x3FF0000000000000), %v306
  %v315 = fsub <32 x float> splat (float 0x3FF0000000000000), %v309
  %v316 = fsub <32 x float> splat (float 0x3FF0000000000000), %v312
  %v317 = fmul <32 x float> %v286, %v313
  %v318 = fmul <32 x float> %v291, %v314
  %v319 = fmul <32 x float> %v296, %v315
  %v320 = fmul <32 x float> %v301, %v316
  %v321 = fmul <32 x float> %v317, %v303
  %v322 = fmul <32 x float> %v318, %v306
  %v323 = fmul <32 x float> %v319, %v309
  %v324 = fmul <32 x float> %v320, %v312
  %v325 = select <32 x i1> %v277, <32 x float> %v321, <32 x float> zeroinitializer
  %v326 = add nuw nsw i64 %v278, 160
  %v327 = getelementptr inbounds float, ptr %scratch, i64 %v326
  store <32 x float> %v325, ptr %v327, align 64
  %v328 = select <32 x i1> %v277, <32 x float> %v322, <32 x float> zeroinitializer
  %v329 = add nuw nsw i64 %v278, 192
  %v330 = getelementptr inbounds float, ptr %scratch, i64 %v329
  store <32 x float> %v328, ptr %v330, align 64
  %v331 = select <32 x i1> %v277, <32 x float> %v323, <32 x float> zeroinitializer
  %v332 = add nuw nsw i64 %v278, 224
  %v333 = getelementptr inbounds float, ptr %scratch, i64 %v332
  store <32 x float> %v331, ptr %v333, align 64
  %v334 = select <32 x i1> %v277, <32 x float> %v324, <32 x float> zeroinitializer
  %v335 = add nuw nsw i64 %v278, 256
  %v336 = getelementptr inbounds float, ptr %scratch, i64 %v335
  store <32 x float> %v334, ptr %v336, align 64
  %v337 = add nuw nsw i64 %v271, 1
  store i64 %v337, ptr %a269
  %v338 = icmp slt i64 %v337, %strips
  br i1 %v338, label %loop270, label %loop270.end
loop270.end:
  store <16 x float> zeroinitializer, ptr %a339
  store <16 x float> zeroinitializer, ptr %a340
  store <16 x float> zeroinitializer, ptr %a341
  store <16 x float> zeroinitializer, ptr %a342
  store <16 x float> zeroinitializer, ptr %a343
  store i64 0, ptr %a344
  br label %loop345
loop345:
  %v346 = load i64, ptr %a344
  %v347 = mul nuw nsw i64 %v346, 288
  %v348 = add nuw nsw i64 %v347, 128
  %v349 = getelementptr inbounds float, ptr %scratch, i64 %v348
  %v350 = load <16 x float>, ptr %v349, align 64
  %v351 = getelementptr inbounds float, ptr %scratch, i64 %v347
  %v352 = load <16 x float>, ptr %v351, align 64
  %v353 = load <16 x float>, ptr %a339
  %v354 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v350, <16 x float> %v352, <16 x float> %v353)
  store <16 x float> %v354, ptr %a339
  %v355 = add nuw nsw i64 %v347, 32
  %v356 = getelementptr inbounds float, ptr %scratch, i64 %v355
  %v357 = load <16 x float>, ptr %v356, align 64
  %v358 = load <16 x float>, ptr %a340
  %v359 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v350, <16 x float> %v357, <16 x float> %v358)
  store <16 x float> %v359, ptr %a340
  %v360 = add nuw nsw i64 %v347, 64
  %v361 = getelementptr inbounds float, ptr %scratch, i64 %v360
  %v362 = load <16 x float>, ptr %v361, align 64
  %v363 = load <16 x float>, ptr %a341
  %v364 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v350, <16 x float> %v362, <16 x float> %v363)
  store <16 x float> %v364, ptr %a341
  %v365 = add nuw nsw i64 %v347, 96
  %v366 = getelementptr inbounds float, ptr %scratch, i64 %v365
  %v367 = load <16 x float>, ptr %v366, align 64
  %v368 = load <16 x float>, ptr %a342
  %v369 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v350, <16 x float> %v367, <16 x float> %v368)
  store <16 x float> %v369, ptr %a342
  %v370 = load <16 x float>, ptr %a343
  %v371 = fadd <16 x float> %v370, %v350
  store <16 x float> %v371, ptr %a343
  %v372 = add nuw nsw i64 %v347, 144
  %v373 = getelementptr inbounds float, ptr %scratch, i64 %v372
  %v374 = load <16 x float>, ptr %v373, align 64
  %v375 = add nuw nsw i64 %v347, 16
  %v376 = getelementptr inbounds float, ptr %scratch, i64 %v375
  %v377 = load <16 x float>, ptr %v376, align 64
  %v378 = load <16 x float>, ptr %a339
  %v379 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v374, <16 x float> %v377, <16 x float> %v378)
  store <16 x float> %v379, ptr %a339
  %v380 = add nuw nsw i64 %v347, 48
  %v381 = getelementptr inbounds float, ptr %scratch, i64 %v380
  %v382 = load <16 x float>, ptr %v381, align 64
  %v383 = load <16 x float>, ptr %a340
  %v384 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v374, <16 x float> %v382, <16 x float> %v383)
  store <16 x float> %v384, ptr %a340
  %v385 = add nuw nsw i64 %v347, 80
  %v386 = getelementptr inbounds float, ptr %scratch, i64 %v385
  %v387 = load <16 x float>, ptr %v386, align 64
  %v388 = load <16 x float>, ptr %a341
  %v389 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v374, <16 x float> %v387, <16 x float> %v388)
  store <16 x float> %v389, ptr %a341
  %v390 = add nuw nsw i64 %v347, 112
  %v391 = getelementptr inbounds float, ptr %scratch, i64 %v390
  %v392 = load <16 x float>, ptr %v391, align 64
  %v393 = load <16 x float>, ptr %a342
  %v394 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v374, <16 x float> %v392, <16 x float> %v393)
  store <16 x float> %v394, ptr %a342
  %v395 = load <16 x float>, ptr %a343
  %v396 = fadd <16 x float> %v395, %v374
  store <16 x float> %v396, ptr %a343
  %v397 = add nuw nsw i64 %v346, 1
  store i64 %v397, ptr %a344
  %v398 = icmp slt i64 %v397, %strips
  br i1 %v398, label %loop345, label %loop345.end
loop345.end:
  %v399 = load <16 x float>, ptr %a339
  %v400 = load <16 x float>, ptr %a340
  %v401 = load <16 x float>, ptr %a341
  %v402 = load <16 x float>, ptr %a342
  %v403 = load <16 x float>, ptr %a343
  %v404 = shufflevector <16 x float> %v399, <16 x float> %v400, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v405 = shufflevector <16 x float> %v399, <16 x float> %v400, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v406 = fadd <16 x float> %v404, %v405
  %v407 = shufflevector <16 x float> %v401, <16 x float> %v402, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v408 = shufflevector <16 x float> %v401, <16 x float> %v402, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v409 = fadd <16 x float> %v407, %v408
  %v410 = shufflevector <16 x float> %v403, <16 x float> poison, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v411 = shufflevector <16 x float> %v403, <16 x float> poison, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v412 = fadd <16 x float> %v410, %v411
  %v413 = shufflevector <16 x float> %v406, <16 x float> %v409, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11, i32 16, i32 17, i32 18, i32 19, i32 24, i32 25, i32 26, i32 27>
  %v414 = shufflevector <16 x float> %v406, <16 x float> %v409, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15, i32 20, i32 21, i32 22, i32 23, i32 28, i32 29, i32 30, i32 31>
  %v415 = fadd <16 x float> %v413, %v414
  %v416 = shufflevector <16 x float> %v412, <16 x float> poison, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11, i32 16, i32 17, i32 18, i32 19, i32 24, i32 25, i32 26, i32 27>
  %v417 = shufflevector <16 x float> %v412, <16 x float> poison, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15, i32 20, i32 21, i32 22, i32 23, i32 28, i32 29, i32 30, i32 31>
  %v418 = fadd <16 x float> %v416, %v417
  %v419 = shufflevector <16 x float> %v415, <16 x float> %v418, <16 x i32> <i32 0, i32 1, i32 4, i32 5, i32 8, i32 9, i32 12, i32 13, i32 16, i32 17, i32 20, i32 21, i32 24, i32 25, i32 28, i32 29>
  %v420 = shufflevector <16 x float> %v415, <16 x float> %v418, <16 x i32> <i32 2, i32 3, i32 6, i32 7, i32 10, i32 11, i32 14, i32 15, i32 18, i32 19, i32 22, i32 23, i32 26, i32 27, i32 30, i32 31>
  %v421 = fadd <16 x float> %v419, %v420
  %v422 = shufflevector <16 x float> %v421, <16 x float> poison, <16 x i32> <i32 0, i32 2, i32 4, i32 6, i32 8, i32 10, i32 12, i32 14, i32 16, i32 18, i32 20, i32 22, i32 24, i32 26, i32 28, i32 30>
  %v423 = shufflevector <16 x float> %v421, <16 x float> poison, <16 x i32> <i32 1, i32 3, i32 5, i32 7, i32 9, i32 11, i32 13, i32 15, i32 17, i32 19, i32 21, i32 23, i32 25, i32 27, i32 29, i32 31>
  %v424 = fadd <16 x float> %v422, %v423
  %v425 = shufflevector <16 x float> %v424, <16 x float> poison, <5 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4>
  %v426 = getelementptr inbounds float, ptr %sums, i64 0
  store <5 x float> %v425, ptr %v426, align 4
  store <16 x float> zeroinitializer, ptr %a427
  store <16 x float> zeroinitializer, ptr %a428
  store <16 x float> zeroinitializer, ptr %a429
  store <16 x float> zeroinitializer, ptr %a430
  store <16 x float> zeroinitializer, ptr %a431
  store <16 x float> zeroinitializer, ptr %a432
  store <16 x float> zeroinitializer, ptr %a433
  store <16 x float> zeroinitializer, ptr %a434
  store <16 x float> zeroinitializer, ptr %a435
  store <16 x float> zeroinitializer, ptr %a436
  store <16 x float> zeroinitializer, ptr %a437
  store <16 x float> zeroinitializer, ptr %a438
  store <16 x float> zeroinitializer, ptr %a439
  store <16 x float> zeroinitializer, ptr %a440
  store <16 x float> zeroinitializer, ptr %a441
  store <16 x float> zeroinitializer, ptr %a442
  store i64 0, ptr %a443
  br label %loop444
loop444:
  %v445 = load i64, ptr %a443
  %v446 = mul nuw nsw i64 %v445, 288
  %v447 = add nuw nsw i64 %v446, 160
  %v448 = getelementptr inbounds float, ptr %scratch, i64 %v447
  %v449 = load <16 x float>, ptr %v448, align 64
  %v450 = add nuw nsw i64 %v446, 192
  %v451 = getelementptr inbounds float, ptr %scratch, i64 %v450
  %v452 = load <16 x float>, ptr %v451, align 64
  %v453 = add nuw nsw i64 %v446, 224
  %v454 = getelementptr inbounds float, ptr %scratch, i64 %v453
  %v455 = load <16 x float>, ptr %v454, align 64
  %v456 = add nuw nsw i64 %v446, 256
  %v457 = getelementptr inbounds float, ptr %scratch, i64 %v456
  %v458 = load <16 x float>, ptr %v457, align 64
  %v459 = mul nuw nsw i64 %v445, 128
  %v460 = getelementptr inbounds float, ptr %examples, i64 %v459
  %v461 = load <16 x float>, ptr %v460, align 64
  %v462 = load <16 x float>, ptr %a427
  %v463 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v449, <16 x float> %v461, <16 x float> %v462)
  store <16 x float> %v463, ptr %a427
  %v464 = load <16 x float>, ptr %a431
  %v465 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v452, <16 x float> %v461, <16 x float> %v464)
  store <16 x float> %v465, ptr %a431
  %v466 = load <16 x float>, ptr %a435
  %v467 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v455, <16 x float> %v461, <16 x float> %v466)
  store <16 x float> %v467, ptr %a435
  %v468 = load <16 x float>, ptr %a439
  %v469 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v458, <16 x float> %v461, <16 x float> %v468)
  store <16 x float> %v469, ptr %a439
  %v470 = add nuw nsw i64 %v459, 32
  %v471 = getelementptr inbounds float, ptr %examples, i64 %v470
  %v472 = load <16 x float>, ptr %v471, align 64
  %v473 = load <16 x float>, ptr %a428
  %v474 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v449, <16 x float> %v472, <16 x float> %v473)
  store <16 x float> %v474, ptr %a428
  %v475 = load <16 x float>, ptr %a432
  %v476 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v452, <16 x float> %v472, <16 x float> %v475)
  store <16 x float> %v476, ptr %a432
  %v477 = load <16 x float>, ptr %a436
  %v478 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v455, <16 x float> %v472, <16 x float> %v477)
  store <16 x float> %v478, ptr %a436
  %v479 = load <16 x float>, ptr %a440
  %v480 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v458, <16 x float> %v472, <16 x float> %v479)
  store <16 x float> %v480, ptr %a440
  %v481 = add nuw nsw i64 %v459, 64
  %v482 = getelementptr inbounds float, ptr %examples, i64 %v481
  %v483 = load <16 x float>, ptr %v482, align 64
  %v484 = load <16 x float>, ptr %a429
  %v485 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v449, <16 x float> %v483, <16 x float> %v484)
  store <16 x float> %v485, ptr %a429
  %v486 = load <16 x float>, ptr %a433
  %v487 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v452, <16 x float> %v483, <16 x float> %v486)
  store <16 x float> %v487, ptr %a433
  %v488 = load <16 x float>, ptr %a437
  %v489 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v455, <16 x float> %v483, <16 x float> %v488)
  store <16 x float> %v489, ptr %a437
  %v490 = load <16 x float>, ptr %a441
  %v491 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v458, <16 x float> %v483, <16 x float> %v490)
  store <16 x float> %v491, ptr %a441
  %v492 = load <16 x float>, ptr %a430
  %v493 = fadd <16 x float> %v492, %v449
  store <16 x float> %v493, ptr %a430
  %v494 = load <16 x float>, ptr %a434
  %v495 = fadd <16 x float> %v494, %v452
  store <16 x float> %v495, ptr %a434
  %v496 = load <16 x float>, ptr %a438
  %v497 = fadd <16 x float> %v496, %v455
  store <16 x float> %v497, ptr %a438
  %v498 = load <16 x float>, ptr %a442
  %v499 = fadd <16 x float> %v498, %v458
  store <16 x float> %v499, ptr %a442
  %v500 = add nuw nsw i64 %v446, 176
  %v501 = getelementptr inbounds float, ptr %scratch, i64 %v500
  %v502 = load <16 x float>, ptr %v501, align 64
  %v503 = add nuw nsw i64 %v446, 208
  %v504 = getelementptr inbounds float, ptr %scratch, i64 %v503
  %v505 = load <16 x float>, ptr %v504, align 64
  %v506 = add nuw nsw i64 %v446, 240
  %v507 = getelementptr inbounds float, ptr %scratch, i64 %v506
  %v508 = load <16 x float>, ptr %v507, align 64
  %v509 = add nuw nsw i64 %v446, 272
  %v510 = getelementptr inbounds float, ptr %scratch, i64 %v509
  %v511 = load <16 x float>, ptr %v510, align 64
  %v512 = add nuw nsw i64 %v459, 16
  %v513 = getelementptr inbounds float, ptr %examples, i64 %v512
  %v514 = load <16 x float>, ptr %v513, align 64
  %v515 = load <16 x float>, ptr %a427
  %v516 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v502, <16 x float> %v514, <16 x float> %v515)
  store <16 x float> %v516, ptr %a427
  %v517 = load <16 x float>, ptr %a431
  %v518 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v505, <16 x float> %v514, <16 x float> %v517)
  store <16 x float> %v518, ptr %a431
  %v519 = load <16 x float>, ptr %a435
  %v520 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v508, <16 x float> %v514, <16 x float> %v519)
  store <16 x float> %v520, ptr %a435
  %v521 = load <16 x float>, ptr %a439
  %v522 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v511, <16 x float> %v514, <16 x float> %v521)
  store <16 x float> %v522, ptr %a439
  %v523 = add nuw nsw i64 %v459, 48
  %v524 = getelementptr inbounds float, ptr %examples, i64 %v523
  %v525 = load <16 x float>, ptr %v524, align 64
  %v526 = load <16 x float>, ptr %a428
  %v527 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v502, <16 x float> %v525, <16 x float> %v526)
  store <16 x float> %v527, ptr %a428
  %v528 = load <16 x float>, ptr %a432
  %v529 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v505, <16 x float> %v525, <16 x float> %v528)
  store <16 x float> %v529, ptr %a432
  %v530 = load <16 x float>, ptr %a436
  %v531 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v508, <16 x float> %v525, <16 x float> %v530)
  store <16 x float> %v531, ptr %a436
  %v532 = load <16 x float>, ptr %a440
  %v533 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v511, <16 x float> %v525, <16 x float> %v532)
  store <16 x float> %v533, ptr %a440
  %v534 = add nuw nsw i64 %v459, 80
  %v535 = getelementptr inbounds float, ptr %examples, i64 %v534
  %v536 = load <16 x float>, ptr %v535, align 64
  %v537 = load <16 x float>, ptr %a429
  %v538 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v502, <16 x float> %v536, <16 x float> %v537)
  store <16 x float> %v538, ptr %a429
  %v539 = load <16 x float>, ptr %a433
  %v540 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v505, <16 x float> %v536, <16 x float> %v539)
  store <16 x float> %v540, ptr %a433
  %v541 = load <16 x float>, ptr %a437
  %v542 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v508, <16 x float> %v536, <16 x float> %v541)
  store <16 x float> %v542, ptr %a437
  %v543 = load <16 x float>, ptr %a441
  %v544 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v511, <16 x float> %v536, <16 x float> %v543)
  store <16 x float> %v544, ptr %a441
  %v545 = load <16 x float>, ptr %a430
  %v546 = fadd <16 x float> %v545, %v502
  store <16 x float> %v546, ptr %a430
  %v547 = load <16 x float>, ptr %a434
  %v548 = fadd <16 x float> %v547, %v505
  store <16 x float> %v548, ptr %a434
  %v549 = load <16 x float>, ptr %a438
  %v550 = fadd <16 x float> %v549, %v508
  store <16 x float> %v550, ptr %a438
  %v551 = load <16 x float>, ptr %a442
  %v552 = fadd <16 x float> %v551, %v511
  store <16 x float> %v552, ptr %a442
  %v553 = add nuw nsw i64 %v445, 1
  store i64 %v553, ptr %a443
  %v554 = icmp slt i64 %v553, %strips
  br i1 %v554, label %loop444, label %loop444.end
loop444.end:
  %v555 = load <16 x float>, ptr %a427
  %v556 = load <16 x float>, ptr %a428
  %v557 = load <16 x float>, ptr %a429
  %v558 = load <16 x float>, ptr %a430
  %v559 = load <16 x float>, ptr %a431
  %v560 = load <16 x float>, ptr %a432
  %v561 = load <16 x float>, ptr %a433
  %v562 = load <16 x float>, ptr %a434
  %v563 = load <16 x float>, ptr %a435
  %v564 = load <16 x float>, ptr %a436
  %v565 = load <16 x float>, ptr %a437
  %v566 = load <16 x float>, ptr %a438
  %v567 = load <16 x float>, ptr %a439
  %v568 = load <16 x float>, ptr %a440
  %v569 = load <16 x float>, ptr %a441
  %v570 = load <16 x float>, ptr %a442
  %v571 = shufflevector <16 x float> %v555, <16 x float> %v556, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v572 = shufflevector <16 x float> %v555, <16 x float> %v556, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v573 = fadd <16 x float> %v571, %v572
  %v574 = shufflevector <16 x float> %v557, <16 x float> %v558, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v575 = shufflevector <16 x float> %v557, <16 x float> %v558, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v576 = fadd <16 x float> %v574, %v575
  %v577 = shufflevector <16 x float> %v559, <16 x float> %v560, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v578 = shufflevector <16 x float> %v559, <16 x float> %v560, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v579 = fadd <16 x float> %v577, %v578
  %v580 = shufflevector <16 x float> %v561, <16 x float> %v562, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v581 = shufflevector <16 x float> %v561, <16 x float> %v562, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v582 = fadd <16 x float> %v580, %v581
  %v583 = shufflevector <16 x float> %v563, <16 x float> %v564, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v584 = shufflevector <16 x float> %v563, <16 x float> %v564, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v585 = fadd <16 x float> %v583, %v584
  %v586 = shufflevector <16 x float> %v565, <16 x float> %v566, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v587 = shufflevector <16 x float> %v565, <16 x float> %v566, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v588 = fadd <16 x float> %v586, %v587
  %v589 = shufflevector <16 x float> %v567, <16 x float> %v568, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v590 = shufflevector <16 x float> %v567, <16 x float> %v568, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v591 = fadd <16 x float> %v589, %v590
  %v592 = shufflevector <16 x float> %v569, <16 x float> %v570, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v593 = shufflevector <16 x float> %v569, <16 x float> %v570, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v594 = fadd <16 x float> %v592, %v593
  %v595 = shufflevector <16 x float> %v573, <16 x float> %v576, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11, i32 16, i32 17, i32 18, i32 19, i32 24, i32 25, i32 26, i32 27>
  %v596 = shufflevector <16 x float> %v573, <16 x float> %v576, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15, i32 20, i32 21, i32 22, i32 23, i32 28, i32 29, i32 30, i32 31>
  %v597 = fadd <16 x float> %v595, %v596
  %v598 = shufflevector <16 x float> %v579, <16 x float> %v582, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11, i32 16, i32 17, i32 18, i32 19, i32 24, i32 25, i32 26, i32 27>
  %v599 = shufflevector <16 x float> %v579, <16 x float> %v582, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15, i32 20, i32 21, i32 22, i32 23, i32 28, i32 29, i32 30, i32 31>
  %v600 = fadd <16 x float> %v598, %v599
  %v601 = shufflevector <16 x float> %v585, <16 x float> %v588, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11, i32 16, i32 17, i32 18, i32 19, i32 24, i32 25, i32 26, i32 27>
  %v602 = shufflevector <16 x float> %v585, <16 x float> %v588, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15, i32 20, i32 21, i32 22, i32 23, i32 28, i32 29, i32 30, i32 31>
  %v603 = fadd <16 x float> %v601, %v602
  %v604 = shufflevector <16 x float> %v591, <16 x float> %v594, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11, i32 16, i32 17, i32 18, i32 19, i32 24, i32 25, i32 26, i32 27>
  %v605 = shufflevector <16 x float> %v591, <16 x float> %v594, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15, i32 20, i32 21, i32 22, i32 23, i32 28, i32 29, i32 30, i32 31>
  %v606 = fadd <16 x float> %v604, %v605
  %v607 = shufflevector <16 x float> %v597, <16 x float> %v600, <16 x i32> <i32 0, i32 1, i32 4, i32 5, i32 8, i32 9, i32 12, i32 13, i32 16, i32 17, i32 20, i32 21, i32 24, i32 25, i32 28, i32 29>
  %v608 = shufflevector <16 x float> %v597, <16 x float> %v600, <16 x i32> <i32 2, i32 3, i32 6, i32 7, i32 10, i32 11, i32 14, i32 15, i32 18, i32 19, i32 22, i32 23, i32 26, i32 27, i32 30, i32 31>
  %v609 = fadd <16 x float> %v607, %v608
  %v610 = shufflevector <16 x float> %v603, <16 x float> %v606, <16 x i32> <i32 0, i32 1, i32 4, i32 5, i32 8, i32 9, i32 12, i32 13, i32 16, i32 17, i32 20, i32 21, i32 24, i32 25, i32 28, i32 29>
  %v611 = shufflevector <16 x float> %v603, <16 x float> %v606, <16 x i32> <i32 2, i32 3, i32 6, i32 7, i32 10, i32 11, i32 14, i32 15, i32 18, i32 19, i32 22, i32 23, i32 26, i32 27, i32 30, i32 31>
  %v612 = fadd <16 x float> %v610, %v611
  %v613 = shufflevector <16 x float> %v609, <16 x float> %v612, <16 x i32> <i32 0, i32 2, i32 4, i32 6, i32 8, i32 10, i32 12, i32 14, i32 16, i32 18, i32 20, i32 22, i32 24, i32 26, i32 28, i32 30>
  %v614 = shufflevector <16 x float> %v609, <16 x float> %v612, <16 x i32> <i32 1, i32 3, i32 5, i32 7, i32 9, i32 11, i32 13, i32 15, i32 17, i32 19, i32 21, i32 23, i32 25, i32 27, i32 29, i32 31>
  %v615 = fadd <16 x float> %v613, %v614
  %v616 = shufflevector <16 x float> %v615, <16 x float> poison, <3 x i32> <i32 0, i32 1, i32 2>
  %v617 = getelementptr inbounds float, ptr %sums, i64 5
  store <3 x float> %v616, ptr %v617, align 4
  %v618 = shufflevector <16 x float> %v615, <16 x float> poison, <1 x i32> <i32 3>
  %v619 = getelementptr inbounds float, ptr %sums, i64 17
  store <1 x float> %v618, ptr %v619, align 4
  %v620 = shufflevector <16 x float> %v615, <16 x float> poison, <3 x i32> <i32 4, i32 5, i32 6>
  %v621 = getelementptr inbounds float, ptr %sums, i64 8
  store <3 x float> %v620, ptr %v621, align 4
  %v622 = shufflevector <16 x float> %v615, <16 x float> poison, <1 x i32> <i32 7>
  %v623 = getelementptr inbounds float, ptr %sums, i64 18
  store <1 x float> %v622, ptr %v623, align 4
  %v624 = shufflevector <16 x float> %v615, <16 x float> poison, <3 x i32> <i32 8, i32 9, i32 10>
  %v625 = getelementptr inbounds float, ptr %sums, i64 11
  store <3 x float> %v624, ptr %v625, align 4
  %v626 = shufflevector <16 x float> %v615, <16 x float> poison, <1 x i32> <i32 11>
  %v627 = getelementptr inbounds float, ptr %sums, i64 19
  store <1 x float> %v626, ptr %v627, align 4
  %v628 = shufflevector <16 x float> %v615, <16 x float> poison, <3 x i32> <i32 12, i32 13, i32 14>
  %v629 = getelementptr inbounds float, ptr %sums, i64 14
  store <3 x float> %v628, ptr %v629, align 4
  %v630 = shufflevector <16 x float> %v615, <16 x float> poison, <1 x i32> <i32 15>
  %v631 = getelementptr inbounds float, ptr %sums, i64 20
  store <1 x float> %v630, ptr %v631, align 4
  ret void
}

define internal void @merge(ptr noalias %low, ptr noalias %high) noinline {
entry:
  %a632 = alloca i64, align 64
  br label %body
body:
  store i64 0, ptr %a632
  br label %loop633
loop633:
  %v634 = load i64, ptr %a632
  %v635 = mul nuw nsw i64 %v634, 16
  %v636 = getelementptr inbounds float, ptr %low, i64 %v635
  %v637 = load <16 x float>, ptr %v636, align 64
  %v638 = getelementptr inbounds float, ptr %high, i64 %v635
  %v639 = load <16 x float>, ptr %v638, align 64
  %v640 = fadd <16 x float> %v637, %v639
  %v641 = getelementptr inbounds float, ptr %low, i64 %v635
  store <16 x float> %v640, ptr %v641, align 64
  %v642 = add nuw nsw i64 %v634, 1
  store i64 %v642, ptr %a632
  %v643 = icmp slt i64 %v642, 2
  br i1 %v643, label %loop633, label %loop633.end
loop633.end:
  ret void
}

define internal i32 @follow(ptr noalias %total, ptr noalias %state, ptr noalias %numbers, ptr noalias %next) noinline {
entry:
  %a644 = alloca <16 x i1>, align 64
  br label %body
body:
  store <16 x i1> zeroinitializer, ptr %a644
  %v645 = getelementptr inbounds float, ptr %state, i64 0
  %v646 = load <16 x float>, ptr %v645, align 64
  %v647 = getelementptr inbounds float, ptr %numbers, i64 1
  %v648 = load float, ptr %v647
  %v649 = insertelement <16 x float> poison, float %v648, i64 0
  %v650 = shufflevector <16 x float> %v649, <16 x float> poison, <16 x i32> zeroinitializer
  %v651 = getelementptr inbounds float, ptr %total, i64 5
  %v652 = load <16 x float>, ptr %v651, align 4
  %v653 = getelementptr inbounds float, ptr %numbers, i64 0
  %v654 = load float, ptr %v653
  %v655 = insertelement <16 x float> poison, float %v654, i64 0
  %v656 = shufflevector <16 x float> %v655, <16 x float> poison, <16 x i32> zeroinitializer
  %v657 = fdiv <16 x float> %v652, %v656
  %v658 = fmul <16 x float> %v650, %v657
  %v659 = fsub <16 x float> %v646, %v658
  %v660 = getelementptr inbounds float, ptr %next, i64 0
  store <16 x float> %v659, ptr %v660, align 64
  %v661 = call <16 x float> @llvm.fabs.v16f32(<16 x float> %v659)
  %v662 = fcmp olt <16 x float> %v661, splat (float 0x7FF0000000000000)
  %v663 = xor <16 x i1> %v662, splat (i1 true)
  %v664 = insertelement <16 x i64> poison, i64 0, i64 0
  %v665 = shufflevector <16 x i64> %v664, <16 x i64> poison, <16 x i32> zeroinitializer
  %v666 = add <16 x i64> %v665, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v667 = icmp slt <16 x i64> %v666, splat (i64 12)
  %v668 = and <16 x i1> %v663, %v667
  %v669 = load <16 x i1>, ptr %a644
  %v670 = or <16 x i1> %v669, %v668
  store <16 x i1> %v670, ptr %a644
  %v671 = getelementptr inbounds float, ptr %state, i64 16
  %v672 = load <16 x float>, ptr %v671, align 64
  %v673 = getelementptr inbounds float, ptr %total, i64 17
  %v674 = load <16 x float>, ptr %v673, align 4
  %v675 = fdiv <16 x float> %v674, %v656
  %v676 = fmul <16 x float> %v650, %v675
  %v677 = fsub <16 x float> %v672, %v676
  %v678 = getelementptr inbounds float, ptr %next, i64 16
  store <16 x float> %v677, ptr %v678, align 64
  %v679 = call <16 x float> @llvm.fabs.v16f32(<16 x float> %v677)
  %v680 = fcmp olt <16 x float> %v679, splat (float 0x7FF0000000000000)
  %v681 = xor <16 x i1> %v680, splat (i1 true)
  %v682 = insertelement <16 x i64> poison, i64 0, i64 0
  %v683 = shufflevector <16 x i64> %v682, <16 x i64> poison, <16 x i32> zeroinitializer
  %v684 = add <16 x i64> %v683, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v685 = icmp slt <16 x i64> %v684, splat (i64 4)
  %v686 = and <16 x i1> %v681, %v685
  %v687 = load <16 x i1>, ptr %a644
  %v688 = or <16 x i1> %v687, %v686
  store <16 x i1> %v688, ptr %a644
  %v689 = getelementptr inbounds float, ptr %state, i64 32
  %v690 = load <16 x float>, ptr %v689, align 64
  %v691 = getelementptr inbounds float, ptr %total, i64 0
  %v692 = load <16 x float>, ptr %v691, align 4
  %v693 = fdiv <16 x float> %v692, %v656
  %v694 = fmul <16 x float> %v650, %v693
  %v695 = fsub <16 x float> %v690, %v694
  %v696 = getelementptr inbounds float, ptr %next, i64 32
  store <16 x float> %v695, ptr %v696, align 64
  %v697 = call <16 x float> @llvm.fabs.v16f32(<16 x float> %v695)
  %v698 = fcmp olt <16 x float> %v697, splat (float 0x7FF0000000000000)
  %v699 = xor <16 x i1> %v698, splat (i1 true)
  %v700 = insertelement <16 x i64> poison, i64 0, i64 0
  %v701 = shufflevector <16 x i64> %v700, <16 x i64> poison, <16 x i32> zeroinitializer
  %v702 = add <16 x i64> %v701, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v703 = icmp slt <16 x i64> %v702, splat (i64 4)
  %v704 = and <16 x i1> %v699, %v703
  %v705 = load <16 x i1>, ptr %a644
  %v706 = or <16 x i1> %v705, %v704
  store <16 x i1> %v706, ptr %a644
  %v707 = getelementptr inbounds float, ptr %state, i64 48
  %v708 = load <16 x float>, ptr %v707, align 64
  %v709 = getelementptr inbounds float, ptr %total, i64 4
  %v710 = load <16 x float>, ptr %v709, align 4
  %v711 = fdiv <16 x float> %v710, %v656
  %v712 = fmul <16 x float> %v650, %v711
  %v713 = fsub <16 x float> %v708, %v712
  %v714 = getelementptr inbounds float, ptr %next, i64 48
  store <16 x float> %v713, ptr %v714, align 64
  %v715 = call <16 x float> @llvm.fabs.v16f32(<16 x float> %v713)
  %v716 = fcmp olt <16 x float> %v715, splat (float 0x7FF0000000000000)
  %v717 = xor <16 x i1> %v716, splat (i1 true)
  %v718 = insertelement <16 x i64> poison, i64 0, i64 0
  %v719 = shufflevector <16 x i64> %v718, <16 x i64> poison, <16 x i32> zeroinitializer
  %v720 = add <16 x i64> %v719, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v721 = icmp slt <16 x i64> %v720, splat (i64 1)
  %v722 = and <16 x i1> %v717, %v721
  %v723 = load <16 x i1>, ptr %a644
  %v724 = or <16 x i1> %v723, %v722
  store <16 x i1> %v724, ptr %a644
  %v725 = load <16 x i1>, ptr %a644
  %v726 = call i1 @llvm.vector.reduce.or.v16i1(<16 x i1> %v725)
  %v727 = select i1 %v726, i32 1, i32 0
  ret i32 %v727
}

declare i32 @nn_backend_pause(i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define void @run(ptr %job) {
entry:
  %networks.at = getelementptr i64, ptr %job, i64 0
  %networks = load i64, ptr %networks.at
  %threads.at = getelementptr i64, ptr %job, i64 1
  %threads = load i64, ptr %threads.at
  %half.at = getelementptr i64, ptr %job, i64 2
  %half = load i64, ptr %half.at
  %mine.at = getelementptr i64, ptr %job, i64 3
  %mine = load i64, ptr %mine.at
  %length.at = getelementptr i64, ptr %job, i64 4
  %length = load i64, ptr %length.at
  %spins.at = getelementptr i64, ptr %job, i64 5
  %spins = load i64, ptr %spins.at
  %patience.at = getelementptr i64, ptr %job, i64 6
  %patience = load i64, ptr %patience.at
  %spans.at = getelementptr i64, ptr %job, i64 7
  %spans = load ptr, ptr %spans.at
  %instructions.at = getelementptr i64, ptr %job, i64 8
  %instructions = load ptr, ptr %instructions.at
  %given.at = getelementptr i64, ptr %job, i64 9
  %given = load ptr, ptr %given.at
  %allown.at = getelementptr i64, ptr %job, i64 10
  %allown = load ptr, ptr %allown.at
  %returned.at = getelementptr i64, ptr %job, i64 11
  %returned = load ptr, ptr %returned.at
  %states.at = getelementptr i64, ptr %job, i64 12
  %states = load ptr, ptr %states.at
  %allnumbers.at = getelementptr i64, ptr %job, i64 13
  %allnumbers = load ptr, ptr %allnumbers.at
  %allresults.at = getelementptr i64, ptr %job, i64 14
  %allresults = load ptr, ptr %allresults.at
  %allprogress.at = getelementptr i64, ptr %job, i64 15
  %allprogress = load ptr, ptr %allprogress.at
  %shared.at = getelementptr i64, ptr %job, i64 16
  %shared = load ptr, ptr %shared.at
  %partial.at = getelementptr i64, ptr %job, i64 17
  %partial = load ptr, ptr %partial.at
  %scratch.at = getelementptr i64, ptr %job, i64 18
  %scratch = load ptr, ptr %scratch.at
  %stack.at = getelementptr i64, ptr %job, i64 19
  %stack = load ptr, ptr %stack.at
  %next.at = getelementptr i64, ptr %job, i64 20
  %next = load ptr, ptr %next.at
  %last = getelementptr i64, ptr %shared, i64 1
  %callers = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %callers)
  %ours = alloca i32
  store i32 8064, ptr %ours
  call void @llvm.x86.sse.ldmxcsr(ptr %ours)
  br label %network
network: ; a span is a network's first strip, examples, first strip of its own and of outputs, and row of instructions
  %n = phi i64 [ 0, %entry ], [ %n.next, %network.next ]
  %progress.k = mul i64 %n, 2
  %progress = getelementptr i64, ptr %allprogress, i64 %progress.k
  %ended = load i64, ptr %progress
  %over = icmp ne i64 %ended, 0
  %span.k = mul i64 %n, 4
  %span = getelementptr i64, ptr %spans, i64 %span.k
  %span.all = load <4 x i64>, ptr %span, align 8
  %strip = extractelement <4 x i64> %span.all, i64 0
  %m = extractelement <4 x i64> %span.all, i64 1
  %output = extractelement <4 x i64> %span.all, i64 2
  %list = extractelement <4 x i64> %span.all, i64 3
  %start = mul i64 %list, %length
  %examples.k = mul i64 %strip, 128
  %examples = getelementptr float, ptr %given, i64 %examples.k
  %own.k = mul i64 %output, 0
  %own = getelementptr float, ptr %allown, i64 %own.k
  %outputs.k = mul i64 %output, 0
  %outputs = getelementptr float, ptr %returned, i64 %outputs.k
  %state.k = mul i64 %n, 64
  %state = getelementptr float, ptr %states, i64 %state.k
  %numbers.k = mul i64 %n, 2
  %numbers = getelementptr float, ptr %allnumbers, i64 %numbers.k
  %results.k = mul i64 %n, 64
  %results = getelementptr float, ptr %allresults, i64 %results.k
  br i1 %over, label %network.next, label %iteration
iteration: ; sums of odd and even ones are kept apart: no thread overwrites what another still reads
  %i = phi i64 [ 0, %network ], [ %i.next, %take ]
  %i.next = add i64 %i, 1
  %odd = and i64 %i, 1
  %odd.k = mul i64 %odd, %half
  %sums = getelementptr float, ptr %partial, i64 %odd.k
  %bottom = getelementptr float, ptr %sums, i64 %mine
  br label %instruction
instruction: ; the top of the stack is where the next row of sums goes
  %at = phi i64 [ %start, %iteration ], [ %at.next, %tile ], [ %at.next, %merge ], [ %at.next, %push ],
    [ %at.next, %wait ]
  %top = phi ptr [ %bottom, %iteration ], [ %above, %tile ], [ %high, %merge ], [ %above, %push ], [ %stack, %wait ]
  %code.at = getelementptr i32, ptr %instructions, i64 %at
  %code = load i32, ptr %code.at
  %at.next = add i64 %at, 1
  %above = getelementptr float, ptr %top, i64 32
  %high = getelementptr float, ptr %top, i64 -32
  %low = getelementptr float, ptr %high, i64 -32
  switch i32 %code, label %other [ i32 -1, label %merge i32 -2, label %arrive i32 -3, label %follow ]
other:
  %code64 = sext i32 %code to i64
  %is.tile = icmp sge i32 %code, 0
  br i1 %is.tile, label %tile, label %push
tile:
  %begun = mul i64 %code64, 128
  %left = sub i64 %m, %begun
  %rounded = add i64 %left, 31
  %wanted = sdiv i64 %rounded, 32
  %strips = call i64 @llvm.smin.i64(i64 %wanted, i64 4)
  %examples.tile.k = mul i64 %code64, 512
  %examples.tile = getelementptr float, ptr %examples, i64 %examples.tile.k
  %own.tile.k = mul i64 %code64, 0
  %own.tile = getelementptr float, ptr %own, i64 %own.tile.k
  %outputs.tile.k = mul i64 %code64, 0
  %outputs.tile = getelementptr float, ptr %outputs, i64 %outputs.tile.k
  call void @tile(i64 %strips, i64 %left, ptr %examples.tile, ptr %own.tile, ptr %outputs.tile, ptr %state,
    ptr %numbers, ptr %scratch, ptr %top)
  br label %instruction
merge:
  call void @merge(ptr %low, ptr %high)
  br label %instruction
push:
  %row = sub i64 -4, %code64
  %pushed.k = mul i64 %row, 32
  %pushed = getelementptr float, ptr %sums, i64 %pushed.k
  call void @llvm.memcpy.p0.p0.i64(ptr %top, ptr %pushed, i64 128, i1 false)
  br label %instruction
arrive:
  %before = atomicrmw add ptr %shared, i64 1 release
  %everybody = mul i64 %i.next, %threads
  br label %wait
wait: ; for all threads, spinning at first, then asleep between looks
  %looks = phi i64 [ 0, %arrive ], [ %looks.next, %look ], [ %looks.next, %pause ], [ %looks.next, %lose.patience ]
  %looks.next = add i64 %looks, 1
  %arrived = load atomic i64, ptr %shared acquire, align 8
  %complete = icmp sge i64 %arrived, %everybody
  br i1 %complete, label %instruction, label %look
look:
  %tired = icmp sgt i64 %looks.next, %spins
  br i1 %tired, label %pause, label %wait
pause:
  %paused = call i32 @nn_backend_pause(i32 50)
  %patience.left = load i64, ptr %patience.at
  %patience.next = sub i64 %patience.left, 1
  store i64 %patience.next, ptr %patience.at
  %impatient = icmp eq i64 %patience.next, 0
  br i1 %impatient, label %lose.patience, label %wait
lose.patience: ; the next iteration is the last: none can have passed its barrier, so all threads will have seen this
  %stop = add i64 %i, 2
  %was = atomicrmw min ptr %last, i64 %stop monotonic
  br label %wait
follow: ; the one row on the stack is the total; a step that ends the run is left undone, by all threads alike
  %ending = call i32 @follow(ptr %high, ptr %state, ptr %numbers, ptr %next)
  %going.on = icmp eq i32 %ending, 0
  br i1 %going.on, label %take, label %network.end
take:
  call void @llvm.memcpy.p0.p0.i64(ptr %state, ptr %next, i64 256, i1 false)
  %iterations = load atomic i64, ptr %last monotonic, align 8
  %more = icmp slt i64 %i.next, %iterations
  br i1 %more, label %iteration, label %network.end
network.end:
  %done = phi i64 [ %i, %follow ], [ %i.next, %take ]
  %reached = sext i32 %ending to i64
  store i64 %reached, ptr %progress
  %done.at = getelementptr i64, ptr %progress, i64 1
  %done.before = load i64, ptr %done.at
  %done.in.all = add i64 %done.before, %done
  store i64 %done.in.all, ptr %done.at
  br label %network.next
network.next:
  %n.next = add i64 %n, 1
  %n.more = icmp slt i64 %n.next, %networks
  br i1 %n.more, label %network, label %exit
exit:
  call void @llvm.x86.sse.ldmxcsr(ptr %callers)
  ret void
}
